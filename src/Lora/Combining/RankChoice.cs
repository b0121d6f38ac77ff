using System.Globalization;

namespace Lora.Combining;

/// <summary>A rank, from a number or from the energy that is to be kept.</summary>
internal static class RankChoice
{
    /// <summary>What is wrong with the settings.</summary>
    internal static IEnumerable<string> Problems(int? rank, double? energy)
    {
        if (rank < 1) yield return $"Rank must be at least 1, but is {rank}";
        if (energy is double threshold and not (> 0 and <= 1)) yield return $"EnergyThreshold must be above 0 and at most 1, but is {threshold.ToString(CultureInfo.InvariantCulture)}";
    }

    /// <summary>The smallest rank whose part of the energy reaches the threshold, no more than the rank that is given; the latter where there is no threshold.</summary>
    /// <param name="energies">The squares of the singular values, falling.</param>
    /// <param name="total">Their sum, also of those that are not known.</param>
    /// <param name="rank">The rank, or the largest.</param>
    /// <param name="energy">The threshold.</param>
    internal static int Of(IReadOnlyList<double> energies, double total, int? rank, double? energy)
    {
        int most = Math.Min(rank ?? energies.Count, energies.Count);
        if (energy is not double threshold) return most;
        double kept = 0;
        for (int i = 0; i < most; i++)
        {
            kept += energies[i];
            if (kept >= threshold * total) return i + 1;
        }
        return most;
    }
}
