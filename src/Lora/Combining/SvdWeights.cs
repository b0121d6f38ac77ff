namespace Lora.Combining;

/// <summary>What a ΔW that holds its scale already is multiplied by before a decomposition.</summary>
internal static class SvdWeights
{
    /// <summary>The weights; with PEFT's second multiplication by the scale where its numbers are asked for.</summary>
    internal static double[] Of(IReadOnlyList<LayerSource> sources, CombineRun run) =>
        [.. sources.Select(source => run.Options.PeftCompatible ? source.Factor : source.Weight)];
}
