namespace Lora.Layers;

/// <summary>What one layer takes from a <see cref="LoraConfig"/>, its patterns resolved.</summary>
/// <param name="Rank">The rank r, at least 1.</param>
/// <param name="Alpha">The numerator of the scale.</param>
/// <param name="Scale">The factor of ΔW.</param>
/// <param name="Dropout">The dropout probability, from 0 to 1.</param>
internal readonly record struct AdapterSettings(int Rank, double Alpha, double Scale, double Dropout)
{
    /// <summary>The settings of the layer at <paramref name="path"/>.</summary>
    internal static AdapterSettings For(LoraConfig config, string path)
    {
        int rank = config.RankFor(path);
        double alpha = config.AlphaFor(path);
        return new AdapterSettings(rank, alpha, config.Scaling(rank, alpha), config.Dropout);
    }

    /// <summary>The settings of a layer made by hand.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of range.</exception>
    internal static AdapterSettings Of(int rank, double alpha, double dropout, bool useRankStabilizedScaling)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(rank);
        if (!double.IsFinite(alpha)) throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "Alpha must be a finite number.");
        if (dropout is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(dropout), dropout, "Dropout must be a probability from 0 to 1.");
        var config = new LoraConfig { UseRankStabilizedScaling = useRankStabilizedScaling };
        return new AdapterSettings(rank, alpha, config.Scaling(rank, alpha), dropout);
    }
}
