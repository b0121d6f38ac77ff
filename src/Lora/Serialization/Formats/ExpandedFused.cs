using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>
/// Writes the adapters of fused linear layers as those of plain ones, which PEFT reads: n pairs of rank r, each for its part of the output, are one pair of rank n·r with the
/// same A, and a B that is zero wherever a part and a pair do not belong together.
/// </summary>
internal static class ExpandedFused
{
    /// <summary>The settings with the ranks that such layers have then, and the alphas that leave their scale as it is.</summary>
    /// <param name="config">The settings.</param>
    /// <param name="adapters">The adapters of all layers.</param>
    /// <param name="paths">The paths that patterns are looked up by; what decides for none of them any more is left out.</param>
    internal static LoraConfig ConfigOf(LoraConfig config, IEnumerable<(string Path, LoraAdapter Adapter)> adapters, IReadOnlyCollection<string> paths)
    {
        (string Path, FusedLinearAdapter Adapter)[] fused = [.. adapters.Where(layer => layer.Adapter is FusedLinearAdapter).Select(layer => (layer.Path, (FusedLinearAdapter)layer.Adapter))];
        return fused.Length == 0 ? config : config with
        {
            RankPattern = ExactTargets.First(fused.Select(layer => (layer.Path, (int)layer.Adapter.A.shape[0])), config.RankPattern).Used(paths),
            AlphaPattern = ExactTargets.First(fused.Select(layer => (layer.Path, AlphaOf(config, layer.Adapter))), config.AlphaPattern).Used(paths),
        };
    }

    /// <summary>The tensor in the form of a plain layer's, where it has another; else the tensor itself.</summary>
    internal static Tensor TensorOf(LoraAdapter adapter, string name, Tensor tensor) => adapter is FusedLinearAdapter fused && name == "lora_B.weight" ? fused.UpMatrix : tensor;

    private static double AlphaOf(LoraConfig config, FusedLinearAdapter adapter)
    {
        long parts = adapter.A.shape[0] / adapter.Rank;
        return adapter.Alpha * (config.UseRankStabilizedScaling ? Math.Sqrt(parts) : parts);
    }
}
