namespace Lora;

/// <summary>What an adapter does to one weight. ΔW = s·B·A; what the magnitudes of a variant make of it is not in the numbers.</summary>
/// <param name="Path">The layer's path.</param>
/// <param name="Part">
/// Which weight, where a layer has several that have pairs of their own: <c>in_proj</c> and <c>out_proj</c> of an attention, the name of a raw parameter, <c>expert 3</c> behind it, <c>part 0</c> of a fused
/// layer's output, <c>group 1</c> of a convolution. Null where there is one.
/// </param>
/// <param name="Kind">The kind of the base layer, such as <c>Linear</c>.</param>
/// <param name="Rank">The rank of the pair; twice that where a start is taken off, as with PiSSA.</param>
/// <param name="Scale">The scale s at the moment.</param>
/// <param name="WeightNorm">‖W‖, the Frobenius norm of the base's weight.</param>
/// <param name="SingularValues">The singular values of ΔW, falling; no more than the rank.</param>
/// <param name="SignificantRank">How many of them are above <see cref="InspectOptions.Threshold"/> times the largest.</param>
public sealed record LayerInspection(string Path, string? Part, string Kind, int Rank, double Scale, double WeightNorm, IReadOnlyList<double> SingularValues, int SignificantRank)
{
    /// <summary>‖ΔW‖, its Frobenius norm.</summary>
    public double DeltaNorm => Math.Sqrt(SingularValues.Sum(value => value * value));

    /// <summary>‖ΔW‖ as a part of ‖W‖: how far the layer has moved. It is infinite where W is zero and ΔW is not, and 0 where both are.</summary>
    public double RelativeNorm => DeltaNorm > 0 ? DeltaNorm / WeightNorm : 0;

    /// <summary>The largest singular value of ΔW.</summary>
    public double SpectralNorm => SingularValues.Count > 0 ? SingularValues[0] : 0;

    /// <summary>
    /// The effective rank, exp(−Σ pᵢ·ln pᵢ) with pᵢ = σᵢ / Σσ (Roy and Vetterli 2007, "The effective rank"): the number of singular values where all are equal, 1 where there is one; 0 where ΔW is zero.
    /// </summary>
    public double EffectiveRank
    {
        get
        {
            double sum = SingularValues.Sum();
            return sum > 0 ? Math.Exp(-SingularValues.Where(value => value > 0).Sum(value => value / sum * Math.Log(value / sum))) : 0;
        }
    }
}
