using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Models;

/// <summary>Two stacked attentions of width 6 with two heads: the second one attends from tanh of the first one's output to the input.</summary>
internal abstract class AttentionModel(string name) : nn.Module<Tensor, Tensor>(name)
{
    public const int Width = 6;
    public const int Heads = 2;

    /// <summary>Added to the scores, <c>[length, length]</c>, or null.</summary>
    public Tensor? Mask { get; set; }

    /// <summary>True where a source is left out, <c>[batch, length]</c>, or null.</summary>
    public Tensor? Padding { get; set; }

    public bool NeedsWeights { get; set; } = true;

    /// <summary>The weights of the second attention's last pass.</summary>
    public Tensor? Weights { get; private set; }

    /// <summary>A model whose attentions can be replaced, or not, with weights that are neither zero nor small.</summary>
    public static AttentionModel Make(bool swap, ScalarType type = ScalarType.Float64, double dropout = 0, bool bias = true)
    {
        MultiheadAttention Layer(int seed)
        {
            MultiheadAttention layer = nn.MultiheadAttention(Width, Heads, dropout, bias);
            foreach ((_, Parameter parameter) in layer.named_parameters()) Noise.Fill(parameter, seed++, 0.7);
            layer.to(type).to(TestDevice.Current);
            return layer;
        }
        return swap ? new OpenModel(Layer(100), Layer(200)) : new TypedModel(Layer(100), Layer(200));
    }

    public static Tensor Input(ScalarType type = ScalarType.Float64, int length = 5, int batch = 3) =>
        Noise.Fill(empty([length, batch, Width], type, TestDevice.Current), 40, 1.5);

    public static LoraConfig Config { get; } = new() { Rank = 2, Alpha = 5, TargetModules = ModuleSelector.EndsWith("_first", "_second") };

    /// <summary>Fills all pairs of all adapters.</summary>
    public static LoraModel<TModel> Filled<TModel>(LoraModel<TModel> lora, int seed = 70)
        where TModel : nn.Module
    {
        foreach (Parameter parameter in lora.Layers.SelectMany(layer => layer.Layer.Adapters).SelectMany(adapter => adapter.FileTensors).Select(tensor => tensor.Value)) Noise.Fill(parameter, seed++, 0.5);
        return lora;
    }

    public override Tensor forward(Tensor input)
    {
        Tensor first = Call(true, input, input, input).Item1;
        Tuple<Tensor, Tensor> second = Call(false, first.tanh(), input, input);
        Weights = second.Item2;
        return second.Item1;
    }

    public abstract Tuple<Tensor, Tensor> Call(bool first, Tensor query, Tensor key, Tensor value);

    private sealed class OpenModel : AttentionModel
    {
        private readonly nn.Module<Tensor, Tensor, Tensor, Tensor?, bool, Tensor?, Tuple<Tensor, Tensor>> _first;
        private readonly nn.Module<Tensor, Tensor, Tensor, Tensor?, bool, Tensor?, Tuple<Tensor, Tensor>> _second;

        public OpenModel(MultiheadAttention first, MultiheadAttention second)
            : base(nameof(OpenModel))
        {
            (_first, _second) = (first, second);
            RegisterComponents();
        }

        public override Tuple<Tensor, Tensor> Call(bool first, Tensor query, Tensor key, Tensor value) => (first ? _first : _second).call(query, key, value, Padding!, NeedsWeights, Mask!);
    }

    private sealed class TypedModel : AttentionModel
    {
        private readonly MultiheadAttention _first;
        private readonly MultiheadAttention _second;

        public TypedModel(MultiheadAttention first, MultiheadAttention second)
            : base(nameof(TypedModel))
        {
            (_first, _second) = (first, second);
            RegisterComponents();
        }

        public override Tuple<Tensor, Tensor> Call(bool first, Tensor query, Tensor key, Tensor value) => (first ? _first : _second).call(query, key, value, Padding, NeedsWeights, Mask);
    }
}
