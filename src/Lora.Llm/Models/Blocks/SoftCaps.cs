using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Bends numbers under a cap: c · tanh(x / c) (Gemma Team 2024).</summary>
internal static class SoftCaps
{
    /// <summary>Applies the cap; without one, the very tensor comes back.</summary>
    internal static Tensor Apply(Tensor x, double? cap)
    {
        if (cap is not double limit) return x;
        using Scalar bound = limit;
        using Tensor small = x.div(bound);
        using Tensor bent = small.tanh();
        return bent.mul(bound);
    }
}
