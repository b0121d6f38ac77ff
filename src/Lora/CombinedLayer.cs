namespace Lora;

/// <summary>What combining made of one layer.</summary>
/// <param name="Path">The layer's path.</param>
/// <param name="Rank">The rank of the new adapter there.</param>
/// <param name="TruncationError">
/// The Frobenius norm of what was cut off the combined ΔW, the square root of the sum of the squares of the singular values left out; 0 for methods that cut nothing off.
/// What clamping changes is not in it.
/// </param>
/// <param name="RelativeTruncationError">The same as a part of the norm of the combined ΔW, from 0 to 1.</param>
public sealed record CombinedLayer(string Path, int Rank, double TruncationError, double RelativeTruncationError);
