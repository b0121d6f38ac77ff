using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>The A's and the B's apart. The sign of a negative factor goes to A alone, or it would vanish in the product.</summary>
internal sealed class FactorCombination(string name, Blend blend) : CombineMethod(name)
{
    internal override Blend Blend => blend;

    internal override bool NeedsEqualRanks => true;

    internal override CombinedFactors Combine(IReadOnlyList<LayerSource> sources, CombineRun run)
    {
        double[] forB = [.. sources.Select(source => Math.Sqrt(Math.Abs(source.Factor)))];
        double[] forA = [.. sources.Select((source, i) => Math.CopySign(forB[i], source.Factor))];
        Tensor a = blend.Of(sources.Select(source => source.Factors.A), forA, run);
        Tensor b = blend.Of(sources.Select(source => source.Factors.B), forB, run);
        return new CombinedFactors(new LowRank(a, b));
    }
}
