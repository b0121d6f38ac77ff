using Lora.Injection;
using Lora.Layers;
using Lora.Variants;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>
/// DoRA written out: a base model with W' = m ⊙ (W + s·B·A) / n in the place of each adapted weight, where n holds the norms of the rows at the beginning, which are constants to
/// the gradient.
/// </summary>
internal sealed class NaiveDora
{
    private readonly nn.Module<Tensor, Tensor> _plain;
    private readonly LoraModel<nn.Module<Tensor, Tensor>> _lora;
    private readonly Dictionary<string, (Tensor Weight, Tensor Norms)> _layers = [];

    /// <param name="plain">Another model with the same base weights; it is changed.</param>
    /// <param name="lora">The adapted model.</param>
    public NaiveDora(nn.Module<Tensor, Tensor> plain, LoraModel<nn.Module<Tensor, Tensor>> lora)
    {
        (_plain, _lora) = (plain, lora);
        using var noGrad = no_grad();
        foreach (AdapterLayer layer in lora.Layers)
        {
            Tensor weight = ModuleAt(layer.Path).get_parameter("weight")!.clone();
            if (ModuleAt(layer.Path) is Convolution { groups: > 1 } convolution) weight = WithoutGroups(convolution);
            _layers.Add(layer.Path, (weight, linalg.vector_norm(weight + Delta(layer), 2, Rows(layer), keepdim: true)));
        }
    }

    public IReadOnlyDictionary<string, Tensor> Norms => _layers.ToDictionary(pair => pair.Key, pair => pair.Value.Norms.flatten());

    public Tensor Output(Tensor input)
    {
        using var noGrad = no_grad();
        foreach (AdapterLayer layer in _lora.Layers)
        {
            (Tensor weight, Tensor norms) = _layers[layer.Path];
            Tensor magnitude = ((DoraVariant)layer.Layer.Adapter.Variant!).Magnitude.view(norms.shape);
            Set(ModuleAt(layer.Path), (weight + Delta(layer)) * magnitude / norms);
        }
        return _plain.call(input);
    }

    private static void Set(nn.Module module, Tensor weight)
    {
        if (module is Convolution convolution)
        {
            convolution.weight = new Parameter(weight, requires_grad: false);
            convolution.groups = 1;
        }
        else
        {
            module.get_parameter("weight")!.copy_(weight);
        }
    }

    private static Tensor Delta(AdapterLayer layer) =>
        layer.Layer is LoraLinear { IsTransposed: true } ? layer.Layer.Adapter.ComputeDelta().t() : layer.Layer.Adapter.ComputeDelta();

    private static long[] Rows(AdapterLayer layer) => layer.Layer switch
    {
        LoraEmbedding or LoraLinear { IsTransposed: true } => [0],
        LoraLinear => [1],
        _ => [.. Enumerable.Range(1, (int)layer.Layer.Adapter.A.dim() - 1).Select(dimension => (long)dimension)],
    };

    private static Tensor WithoutGroups(Convolution convolution)
    {
        long groups = convolution.groups, output = convolution.out_channels / groups, input = convolution.in_channels / groups;
        Tensor whole = zeros([convolution.out_channels, convolution.in_channels, .. convolution.weight.shape[2..]], convolution.weight.dtype, convolution.weight.device);
        for (long o = 0; o < convolution.out_channels; o++) whole[o].narrow(0, o / output * input, input).copy_(convolution.weight[o]);
        return whole;
    }

    private nn.Module ModuleAt(string path) => ModuleWalker.Walk(_plain).Single(site => site.Path == path).Module;
}
