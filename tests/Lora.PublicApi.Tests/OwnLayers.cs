using Lora.Layers;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests;

internal static class Owned
{
    /// <summary>A parameter that no scope disposes.</summary>
    internal static Parameter Parameter(Tensor value)
    {
        var parameter = new Parameter(value);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}

/// <summary>A linear layer of a user's own.</summary>
internal sealed class OwnLinear : nn.Module<Tensor, Tensor>
{
    public OwnLinear(long inFeatures, long outFeatures)
        : base(nameof(OwnLinear))
    {
        Weight = Owned.Parameter(rand([outFeatures, inFeatures], ScalarType.Float64, TestDevice.Current));
        Bias = Owned.Parameter(rand([outFeatures], ScalarType.Float64, TestDevice.Current));
        register_parameter("weight", Weight);
        register_parameter("bias", Bias);
    }

    public Parameter Weight { get; }

    public Parameter Bias { get; }

    public override Tensor forward(Tensor input) => input.matmul(Weight.t()).add(Bias);
}

/// <summary>A layer that is not linear in its input: y_k = xᵀ·W_k·x, with the weight <c>[out, in, in]</c>.</summary>
internal sealed class Quadratic : nn.Module<Tensor, Tensor>
{
    public Quadratic(long inFeatures, long outFeatures)
        : base(nameof(Quadratic))
    {
        Weight = Owned.Parameter(rand([outFeatures, inFeatures, inFeatures], ScalarType.Float64, TestDevice.Current).div(inFeatures));
        register_parameter("weight", Weight);
    }

    public Parameter Weight { get; }

    public override Tensor forward(Tensor input) => Form(input, nn.functional.linear(input, Weight.flatten(0, 1)));

    /// <summary>Σ_i x_i·(W_k·x)_i from the products W_k·x side by side.</summary>
    internal static Tensor Form(Tensor input, Tensor products) => products.view(input.shape[0], -1, input.shape[1]).mul(input.unsqueeze(1)).sum([-1]);
}

/// <summary>How a <see cref="Quadratic"/> is adapted.</summary>
internal sealed class QuadraticKind : LoraLayerKind
{
    public override string ModuleName => nameof(Quadratic);

    public override Type LayerType => typeof(LoraQuadratic);

    public override bool Supports(nn.Module module) => module is Quadratic;

    public override IEnumerable<string> Problems(nn.Module module, AdapterSettings settings)
    {
        if (((Quadratic)module).Weight.shape[0] == 1) yield return "has one output only";
    }

    public override ILoraLayer Create(nn.Module module, bool ownsBase) => new LoraQuadratic((Quadratic)module, ownsBase);
}

/// <summary>y_k = xᵀ·(W_k + s·B_k·A)·x with one A for all k.</summary>
internal sealed class LoraQuadratic : LoraLayer
{
    private readonly Quadratic _quadratic;

    public LoraQuadratic(Quadratic baseLayer, bool ownsBase)
        : base(nameof(LoraQuadratic), baseLayer, ownsBase) => _quadratic = baseLayer;

    public override string Signature => $"{_quadratic.Weight.shape[1]}→{_quadratic.Weight.shape[0]}";

    protected override LoraAdapter Create(string name, AdapterSettings settings) => new QuadraticAdapter(name, settings, _quadratic.Weight);

    protected override IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter) => [WeightChange.Product(_quadratic.Weight, adapter.B, adapter.A, adapter.Scale)];
}

/// <summary>A is <c>[r, in]</c>, B is <c>[out·in, r]</c>.</summary>
internal sealed class QuadraticAdapter : LoraAdapter
{
    private readonly long[] _shape;

    public QuadraticAdapter(string name, AdapterSettings settings, Parameter weight)
        : base(
            nameof(QuadraticAdapter), name, settings,
            randn([settings.Rank, weight.shape[2]], AdapterSettings.TypeOver(weight.dtype), weight.device),
            zeros([weight.shape[0] * weight.shape[1], settings.Rank], AdapterSettings.TypeOver(weight.dtype), weight.device))
    {
        _shape = weight.shape;
        RegisterComponents();
    }

    public override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [new("lora_A.weight", A), new("lora_B.weight", B)];

    public override Tensor Term(Tensor input)
    {
        Tensor x = Prepared(input);
        return Quadratic.Form(x, nn.functional.linear(nn.functional.linear(x, A).mul(Scale), B));
    }

    public override Tensor ComputeDelta()
    {
        using var noGrad = no_grad();
        return B.to(WideType).mul(Scale).matmul(A.to(WideType)).view(_shape);
    }
}
