using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>A kind whose adapters have the shapes of a convolution's, whatever the layer computes: A is <c>[r, in, tail]</c> and B <c>[out, r / groups, 1…]</c>.</summary>
internal sealed class ShapedKind(long groups, params long[] tail) : LoraLayerKind
{
    public override string ModuleName => "Linear";

    public override Type LayerType => typeof(Layer);

    public override bool IsLinear => true;

    public override bool Supports(nn.Module module) => module is Linear;

    public override IEnumerable<string> Problems(nn.Module module, AdapterSettings settings) => settings.Rank % groups == 0 ? [] : [$"has {groups} groups, which do not divide {settings.Rank}"];

    public override ILoraLayer Create(nn.Module module, bool ownsBase) => new Layer((Linear)module, groups, tail, ownsBase);

    private sealed class Layer(Linear linear, long groups, long[] tail, bool ownsBase) : LoraLayer(nameof(ShapedKind), linear, ownsBase)
    {
        public override string Signature => "";

        protected override LoraAdapter Create(string name, AdapterSettings settings) => new Adapter(name, settings, linear.in_features, linear.out_features, groups, tail);

        protected override IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter) => throw new NotSupportedException();
    }

    private sealed class Adapter : LoraAdapter
    {
        private readonly long _groups;

        internal Adapter(string name, AdapterSettings settings, long input, long output, long groups, long[] tail)
            : base(
                nameof(Adapter), name, settings, zeros([settings.Rank, input, .. tail], device: TestDevice.Current),
                zeros([output, settings.Rank / groups, .. tail.Select(_ => 1L)], device: TestDevice.Current))
        {
            _groups = groups;
            RegisterComponents();
        }

        public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [new("lora_A.weight", A), new("lora_B.weight", B)];

        public override Tensor Term(Tensor input) => throw new NotSupportedException();

        // Each group of outputs has its part of B's rows, and of A's.
        public override Tensor ComputeDelta()
        {
            using var noGrad = no_grad();
            long rows = B.shape[0] / _groups, ranks = A.shape[0] / _groups;
            return cat([.. Enumerable.Range(0, (int)_groups).Select(g => B.flatten(1).narrow(0, g * rows, rows).matmul(A.flatten(1).narrow(0, g * ranks, ranks)).mul(Scale))], 0);
        }
    }
}
