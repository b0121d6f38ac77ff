using Lora.Llm.Blocks.Passes;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The feed-forward part with a gate: down(activation(gate(x)) · up(x)) (Shazeer 2020).</summary>
internal sealed class GatedMlp : nn.Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor>? _activation;

    [ComponentName(Name = "gate_proj")]
    private nn.Module<Tensor, Tensor> _gate;

    [ComponentName(Name = "up_proj")]
    private nn.Module<Tensor, Tensor> _up;

    [ComponentName(Name = "down_proj")]
    private nn.Module<Tensor, Tensor> _down;

    /// <param name="width">The width of the residual stream.</param>
    /// <param name="inner">The width between.</param>
    /// <param name="hasBias">Whether the projections have biases.</param>
    /// <param name="activation">The activation; null for SiLU, which has a pass of its own.</param>
    /// <param name="dataType">The type of the weights.</param>
    /// <param name="device">Where they live.</param>
    internal GatedMlp(long width, long inner, bool hasBias, Func<Tensor, Tensor>? activation, ScalarType dataType, Device device)
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
        Tensor[] projected = SharedInput.Call(x, _gate, _up);
        (Tensor gate, Tensor up) = (projected[0], projected[1]);
        return _down.call(_activation is null ? SwiGluPass.Apply(gate, up) : _activation(gate).mul(up)).MoveToOuterDisposeScope();
    }
}
