using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>The whole ΔW's, element by element, and the best approximation of what comes out.</summary>
internal sealed class DeltaCombination(string name, Blend blend) : CombineMethod(name)
{
    internal override Blend Blend => blend;

    internal override bool ChoosesRank => true;

    internal override CombinedFactors Combine(IReadOnlyList<LayerSource> sources, CombineRun run)
    {
        using var scope = NewDisposeScope();
        IEnumerable<Tensor> deltas = sources.Select(source => source.Factors.Product().mul(source.Scale));
        Tensor sum = blend.Of(deltas, SvdWeights.Of(sources, run), run);
        (Tensor u, Tensor s, Tensor vh) = linalg.svd(sum, fullMatrices: false);
        return Truncation.Of(u, s, vh, sources, run).MoveToOuterDisposeScope();
    }

    internal override int PeftRank(IReadOnlyList<int> ranks, CombineOptions options) => options.Rank ?? ranks.Max();
}
