using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>silu(g) · u with silu(g) = g · σ(g) (Shazeer 2020), which keeps g and u alone: σ(g) is computed again on the way back, in place as far as it goes.</summary>
internal static class SwiGluPass
{
    /// <summary>Gates.</summary>
    /// <param name="gate">g, of any shape.</param>
    /// <param name="up">u, of the same shape and type.</param>
    /// <returns>A tensor of that shape.</returns>
    internal static Tensor Apply(Tensor gate, Tensor up) => gate.dtype is not (ScalarType.Float32 or ScalarType.Float64)
        ? Plain(gate, up)
        : is_grad_enabled() && (gate.requires_grad || up.requires_grad) ? SwiGluFunction.apply(gate, up) : Forward(gate, up);

    /// <summary>Gates without a graph.</summary>
    internal static Tensor Forward(Tensor gate, Tensor up) => nn.functional.silu(gate).mul_(up);

    /// <summary>The gradients of g and u: d·u·(σ − s·σ + s) and d·s, where s is silu(g).</summary>
    internal static (Tensor Gate, Tensor Up) Backward(Tensor gate, Tensor up, Tensor gradient)
    {
        using Scalar minus = -1;
        Tensor slope = gate.sigmoid(), ofUp = gate.mul(slope);
        // Not lerp, whose weights from a tensor old versions of libtorch take one by one.
        slope.addcmul_(ofUp, slope, minus).add_(ofUp).mul_(gradient).mul_(up);
        return (slope, ofUp.mul_(gradient));
    }

    /// <summary>The same by one operator after the other.</summary>
    internal static Tensor Plain(Tensor gate, Tensor up) => nn.functional.silu(gate).mul(up);
}
