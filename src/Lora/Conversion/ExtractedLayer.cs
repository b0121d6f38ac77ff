namespace Lora.Conversion;

/// <summary>What extracting an adapter made of one layer. All numbers are those of the factors as they are in the file, rounded to its type.</summary>
/// <param name="Path">The layer's path.</param>
/// <param name="Rank">The rank that it got; alpha is the same, so that the scale is 1.</param>
/// <param name="DeltaNorm">‖ΔW‖, the Frobenius norm of the difference of the two weights.</param>
/// <param name="Error">‖ΔW − B·A‖, the Frobenius norm of what the adapter lacks.</param>
/// <param name="EnergyKept">The part of ‖ΔW‖² that the kept singular values have, from 0 to 1.</param>
public sealed record ExtractedLayer(string Path, int Rank, double DeltaNorm, double Error, double EnergyKept)
{
    /// <summary><see cref="Error"/> as a part of <see cref="DeltaNorm"/>.</summary>
    public double RelativeError => DeltaNorm > 0 ? Error / DeltaNorm : 0;
}
