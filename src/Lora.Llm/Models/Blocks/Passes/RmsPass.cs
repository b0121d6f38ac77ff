using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>Root-mean-square normalisation y = w · x · ρ with ρ = 1 / √(mean(x²) + ε), which keeps x and a number for each row.</summary>
internal static class RmsPass
{
    /// <summary>Whether the pass gives what the operators give one by one: they widen narrow types between the two products.</summary>
    internal static bool Fits(Tensor x, Tensor weight) => x.dtype is ScalarType.Float32 or ScalarType.Float64 && weight.dtype == x.dtype;

    /// <summary>Normalises rows.</summary>
    /// <param name="x">Shape <c>[…, width]</c>.</param>
    /// <param name="weight">w, shape <c>[width]</c>.</param>
    /// <param name="epsilon">ε.</param>
    /// <returns>The rows and what each was multiplied with, shape <c>[…, 1]</c>, in the current dispose scope.</returns>
    internal static (Tensor Output, Tensor Factors) Forward(Tensor x, Tensor weight, double epsilon)
    {
        using Scalar added = epsilon;
        using Tensor squares = x.square();
        Tensor factors = squares.mean([-1], keepdim: true).add_(added).rsqrt_();
        return (x.mul(factors).mul_(weight), factors);
    }

    /// <summary>The gradient of x: ρ · (a − x · ρ² · mean(a · x)) with a = w · g.</summary>
    internal static Tensor OfInput(Tensor x, Tensor weight, Tensor factors, Tensor gradient)
    {
        using Scalar width = -x.shape[^1], one = 1;
        Tensor weighted = gradient.mul(weight);
        using Tensor products = weighted.mul(x);
        using Tensor means = products.sum([-1L], keepdim: true).mul_(factors).mul_(factors).div_(width);
        return weighted.addcmul_(x, means, one).mul_(factors);
    }

    /// <summary>The gradient of w: Σ g · x · ρ over the rows.</summary>
    internal static Tensor OfWeight(Tensor x, Tensor factors, Tensor gradient)
    {
        using Tensor products = gradient.mul(x).mul_(factors);
        return products.reshape(-1, x.shape[^1]).sum([0L]);
    }

    /// <summary>The same by one operator after the other.</summary>
    internal static Tensor Plain(Tensor x, Tensor weight, double epsilon)
    {
        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar added = epsilon;
        Tensor precise = x.dtype == ScalarType.Float64 ? x : x.to(ScalarType.Float32);
        Tensor factors = precise.square().mean([-1], keepdim: true).add(added).rsqrt();
        return precise.mul(factors).to(x.dtype).mul(weight);
    }
}
