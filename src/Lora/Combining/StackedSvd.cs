using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>
/// The best approximation of a weighted sum of products, from the factors alone. With the B's side by side as B = Q·R and the weighted A's under each other as
/// A = Rₐᵀ·Qₐᵀ, the sum is Q·(R·Rₐᵀ)·Qₐᵀ, and the decomposition of the small matrix in the middle is that of the whole.
/// </summary>
internal sealed class StackedSvd() : CombineMethod("svd")
{
    internal override Blend Blend { get; } = new(null, new WeightedSum());

    internal override bool ChoosesRank => true;

    internal override CombinedFactors Combine(IReadOnlyList<LayerSource> sources, CombineRun run)
    {
        using var scope = NewDisposeScope();
        double[] weights = SvdWeights.Of(sources, run);
        LowRank stacked = Concatenation.Stack(sources, [.. sources.Select((source, i) => weights[i] * source.Scale)]);
        // The matrices are narrow, so float64 costs little, and an error that is reported is one of the method, not of the arithmetic.
        (Tensor qb, Tensor rb) = linalg.qr(stacked.B.to(ScalarType.Float64));
        (Tensor qa, Tensor ra) = linalg.qr(stacked.A.to(ScalarType.Float64).transpose(1, 2));
        (Tensor u, Tensor s, Tensor vh) = linalg.svd(rb.matmul(ra.transpose(1, 2)), fullMatrices: false);
        return Truncation.Of(qb.matmul(u), s, vh.matmul(qa.transpose(1, 2)), sources, run).MoveToOuterDisposeScope();
    }

    internal override int PeftRank(IReadOnlyList<int> ranks, CombineOptions options) => options.Rank ?? ranks.Max();
}
