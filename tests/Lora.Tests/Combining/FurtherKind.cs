using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>A kind of layer whose adapters have one more tensor of the size of the output, under a name that can be chosen.</summary>
internal sealed class FurtherKind(Func<string, string?> keyOf) : LoraLayerKind
{
    public override string ModuleName => "Linear";

    public override Type LayerType => typeof(Layer);

    public override bool IsLinear => true;

    public override bool Supports(nn.Module module) => module is Linear;

    public override ILoraLayer Create(nn.Module module, bool ownsBase) => new Layer((Linear)module, keyOf, ownsBase);

    private sealed class Layer(Linear linear, Func<string, string?> keyOf, bool ownsBase) : LoraLayer(nameof(FurtherKind), linear, ownsBase)
    {
        public override string Signature => "";

        protected override LoraAdapter Create(string name, AdapterSettings settings) => new Adapter(name, linear.in_features, linear.out_features, keyOf(name), settings);

        protected override IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter) => [WeightChange.Product(linear.weight!, adapter.B, adapter.A, adapter.Scale)];
    }

    internal sealed class Adapter : LoraAdapter
    {
        private readonly string? _key;

        internal Adapter(string name, long inFeatures, long outFeatures, string? key, AdapterSettings settings)
            : base(nameof(Adapter), name, settings, zeros([settings.Rank, inFeatures], device: TestDevice.Current), zeros([outFeatures, settings.Rank], device: TestDevice.Current))
        {
            Further = Kept(zeros([outFeatures], device: TestDevice.Current));
            _key = key;
            RegisterComponents();
        }

        public Parameter Further { get; }

        public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors =>
            [new("lora_A.weight", A), new("lora_B.weight", B), .. _key is null ? Array.Empty<KeyValuePair<string, Parameter>>() : [new(_key, Further)]];

        public override Tensor Term(Tensor input) => nn.functional.linear(nn.functional.linear(input, A), B, Further).mul(Scale);

        public override Tensor ComputeDelta() => B.matmul(A).mul(Scale);
    }
}
