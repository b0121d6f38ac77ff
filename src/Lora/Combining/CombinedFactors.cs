namespace Lora.Combining;

/// <summary>The new factors of a layer, for scale 1, and what was cut off.</summary>
/// <param name="Factors">A and B.</param>
/// <param name="Error">The Frobenius norm of what was cut off.</param>
/// <param name="Norm">That of the whole.</param>
internal sealed record CombinedFactors(LowRank Factors, double Error = 0, double Norm = 0)
{
    /// <summary>The error as a part of the norm.</summary>
    internal double RelativeError => Norm > 0 ? Error / Norm : 0;

    internal CombinedFactors MoveToOuterDisposeScope() => this with { Factors = Factors.MoveToOuterDisposeScope() };
}
