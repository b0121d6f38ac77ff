namespace Lora.Parts;

/// <summary>A tensor that an adapter's file holds a second time, for a layer that shares it.</summary>
/// <param name="Key">The key of the repetition, without PEFT's prefix.</param>
/// <param name="Source">The key of the tensor.</param>
/// <param name="IsTransposed">Whether it is repeated as a transposed matrix.</param>
/// <param name="IsRequired">Whether a file without the repetition is incomplete.</param>
internal sealed record MirroredTensor(string Key, string Source, bool IsTransposed, bool IsRequired);
