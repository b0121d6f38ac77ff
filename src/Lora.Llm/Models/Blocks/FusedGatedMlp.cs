using Lora.Llm.Blocks.Passes;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The feed-forward part whose gate and up projections are one, one below the other in this order: down(silu(gate(x)) · up(x)) (Shazeer 2020).</summary>
internal sealed class FusedGatedMlp : nn.Module<Tensor, Tensor>
{
    private readonly long _inner;

    [ComponentName(Name = "gate_up_proj")]
    private nn.Module<Tensor, Tensor> _inputs;

    [ComponentName(Name = "down_proj")]
    private nn.Module<Tensor, Tensor> _down;

    internal FusedGatedMlp(long width, long inner, ScalarType dataType, Device device)
        : base(nameof(FusedGatedMlp))
    {
        _inner = inner;
        _inputs = UnfilledLayers.Linear(width, 2 * inner, hasBias: false, dataType, device);
        _down = UnfilledLayers.Linear(inner, width, hasBias: false, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor both = _inputs.call(x);
        return _down.call(SwiGluPass.Apply(both.narrow(-1, 0, _inner), both.narrow(-1, _inner, _inner))).MoveToOuterDisposeScope();
    }
}
