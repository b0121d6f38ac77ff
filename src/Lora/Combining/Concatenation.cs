using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>The factors side by side.</summary>
internal sealed class Concatenation() : CombineMethod("cat")
{
    internal override Blend Blend { get; } = new(null, new WeightedSum());

    internal override CombinedFactors Combine(IReadOnlyList<LayerSource> sources, CombineRun run) => new(Stack(sources, [.. sources.Select(source => source.Factor)]));

    internal override int PeftRank(IReadOnlyList<int> ranks, CombineOptions options) => ranks.Sum();

    /// <summary>Factors of Σ fᵢ·Bᵢ·Aᵢ at the sum of the ranks.</summary>
    internal static LowRank Stack(IReadOnlyList<LayerSource> sources, IReadOnlyList<double> factors) => new(
        cat([.. sources.Select((source, i) => source.Factors.A.mul(factors[i]))], 1),
        cat([.. sources.Select(source => source.Factors.B)], 2));
}
