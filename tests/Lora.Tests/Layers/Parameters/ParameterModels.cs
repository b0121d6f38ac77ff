using System.Diagnostics.CodeAnalysis;
using Lora.Tests.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers.Parameters;

/// <summary>Two inputs, raw parameters of one to three dimensions, and a switch that makes it fail: y = Σ_e tanh(x·up_e)·down_e + z·gateᵀ + shift, with the layout <c>[experts, in, out]</c>.</summary>
internal sealed class Mixture : nn.Module<Tensor, Tensor, Tensor>
{
    [SuppressMessage("Style", "IDE0044", Justification = "TorchSharp replaces parameters by reflection when a model moves.")]
    private Parameter gate;

    [SuppressMessage("Style", "IDE0044", Justification = "As above.")]
    private Parameter up;

    [SuppressMessage("Style", "IDE0044", Justification = "As above.")]
    private Parameter down;

    [SuppressMessage("Style", "IDE0044", Justification = "As above.")]
    private Parameter shift;

    public Mixture(long experts, bool transposed, ScalarType type)
        : base(nameof(Mixture))
    {
        is_transposed = transposed;
        gate = Make(1, type, 4, 4);
        up = Make(2, type, experts, 4, 7);
        down = Make(3, type, experts, 7, 4);
        shift = Make(4, type, 4);
        RegisterComponents();
    }

    // As a module that was translated from Python would say it.
    [SuppressMessage("Style", "IDE1006", Justification = "The name is transformers'.")]
    internal bool is_transposed { get; }

    public bool Fails { get; set; }

    public Tensor? SeenUp { get; private set; }

    public override Tensor forward(Tensor x, Tensor z)
    {
        SeenUp = up;
        if (Fails) throw new InvalidOperationException("It fails.");
        return x.unsqueeze(0).matmul(up).tanh().matmul(down).sum(0, keepdim: false).add(nn.functional.linear(z, gate)).add(shift);
    }

    private static Parameter Make(int seed, ScalarType type, params long[] shape)
    {
        var parameter = new Parameter(Noise.Fill(empty(shape, type, TestDevice.Current), seed, 0.8));
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}

/// <summary>A linear layer before a <see cref="Mixture"/>, which no field could replace, and an embedding and a parameter of its own beside them.</summary>
internal sealed class MixtureModel : nn.Module<Tensor, Tensor>
{
    private readonly Linear _pre;
    private readonly Mixture _mix;
    private readonly Embedding _table = nn.Embedding(3, 4, device: TestDevice.Current);

    [SuppressMessage("Style", "IDE0044", Justification = "TorchSharp replaces parameters by reflection when a model moves.")]
    private Parameter top;

    public MixtureModel(ScalarType type = ScalarType.Float64, long experts = 3, bool transposed = true)
        : base(nameof(MixtureModel))
    {
        _pre = nn.Linear(4, 4, device: TestDevice.Current, dtype: type);
        foreach (Parameter parameter in _pre.parameters()) Noise.Fill(parameter, 9, 0.8);
        _mix = new Mixture(experts, transposed, type);
        top = new Parameter(ones([2, 2], type, TestDevice.Current));
        top.DetachFromDisposeScope();
        RegisterComponents();
    }

    public static LoraConfig Config { get; } = new() { Rank = 2, Alpha = 5, TargetParameters = ModuleSelector.EndsWith("up", "_mix.down", "gate", "_pre.weight"), RankPattern = new Dictionary<string, int> { ["gate"] = 3 } };

    public Mixture Mix => _mix;

    /// <summary>Whether the mixture's forward is called past its hooks.</summary>
    public bool SkipsCall { get; set; }

    public static Tensor Input(ScalarType type = ScalarType.Float64) => Noise.Fill(empty([5, 4], type, TestDevice.Current), 40, 1.5);

    public override Tensor forward(Tensor input)
    {
        Tensor x = _pre.call(input);
        return SkipsCall ? _mix.forward(x, input) : _mix.call(x, input);
    }
}
