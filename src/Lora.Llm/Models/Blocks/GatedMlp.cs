using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The feed-forward part with a gate: down(activation(gate(x)) · up(x)) (Shazeer 2020).</summary>
internal sealed class GatedMlp : nn.Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor> _activation;

    [ComponentName(Name = "gate_proj")]
    private nn.Module<Tensor, Tensor> _gate;

    [ComponentName(Name = "up_proj")]
    private nn.Module<Tensor, Tensor> _up;

    [ComponentName(Name = "down_proj")]
    private nn.Module<Tensor, Tensor> _down;

    internal GatedMlp(long width, long inner, bool hasBias, Func<Tensor, Tensor> activation, ScalarType dataType, Device device)
        : base(nameof(GatedMlp))
    {
        _activation = activation;
        _gate = UnfilledLayers.Linear(width, inner, hasBias, dataType, device);
        _up = UnfilledLayers.Linear(width, inner, hasBias, dataType, device);
        _down = UnfilledLayers.Linear(inner, width, hasBias, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return _down.call(_activation(_gate.call(x)).mul(_up.call(x))).MoveToOuterDisposeScope();
    }
}
