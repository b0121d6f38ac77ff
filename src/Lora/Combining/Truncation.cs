using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>Cuts a singular value decomposition U·S·Vᵀ down to a rank: B = U·S and A = Vᵀ, of the largest singular values.</summary>
internal static class Truncation
{
    /// <param name="u">U, <c>[blocks, m, q]</c>.</param>
    /// <param name="s">S, <c>[blocks, q]</c>, falling.</param>
    /// <param name="vh">Vᵀ, <c>[blocks, q, n]</c>.</param>
    /// <param name="sources">What was combined.</param>
    /// <param name="run">The call.</param>
    internal static CombinedFactors Of(Tensor u, Tensor s, Tensor vh, IReadOnlyList<LayerSource> sources, CombineRun run)
    {
        double[] energies = Energies(s);
        long rank = RankOf(energies, sources, run);
        Tensor b = u.narrow(2, 0, rank).mul(s.narrow(1, 0, rank).unsqueeze(1));
        Tensor a = vh.narrow(1, 0, rank);
        if (run.Options.ClampQuantile is double quantile)
        {
            double bound = Quantile(run.Options.PeftCompatible ? cat([b.reshape(-1), a.reshape(-1)]) : cat([b.reshape(-1), a.reshape(-1)]).abs(), quantile);
            (a, b) = (Clamped(a, bound), Clamped(b, bound));
        }
        return new CombinedFactors(new LowRank(a, b), Math.Sqrt(energies.Skip((int)rank).Sum()), Math.Sqrt(energies.Sum()));
    }

    // The squares of the singular values of all blocks, by their place in the order.
    private static double[] Energies(Tensor s)
    {
        using var scope = NewDisposeScope();
        return s.to(ScalarType.Float64).square().sum(0, keepdim: false).cpu().data<double>().ToArray();
    }

    private static long RankOf(double[] energies, IReadOnlyList<LayerSource> sources, CombineRun run)
    {
        double? energy = run.Options.EnergyThreshold;
        long wanted = run.Rank is int rank ? Math.Max(1, rank / sources[0].RanksPerBlock) : energy is null ? sources.Max(source => source.Factors.Rank) : energies.Length;
        return RankChoice.Of(energies, energies.Sum(), (int)Math.Min(wanted, energies.Length), energy);
    }

    // Linear between the two neighbours. Tensor.quantile takes 16 million values at most.
    private static double Quantile(Tensor values, double quantile)
    {
        using var scope = NewDisposeScope();
        Tensor sorted = values.to(ScalarType.Float64).sort().Values;
        double place = quantile * (sorted.numel() - 1);
        long below = (long)Math.Floor(place);
        double low = sorted[below].item<double>(), high = sorted[Math.Min(below + 1, sorted.numel() - 1)].item<double>();
        return low + ((place - below) * (high - low));
    }

    private static Tensor Clamped(Tensor tensor, double bound) => tensor.clamp_max(bound).clamp_min(-bound);
}
