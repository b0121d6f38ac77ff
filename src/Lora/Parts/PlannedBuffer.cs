namespace Lora.Parts;

/// <summary>A buffer of the model that an adapter is going to have its own of.</summary>
/// <param name="Place">Where the buffer is.</param>
/// <param name="Key">Its path in the model, which is its key in PEFT's file, without the prefix.</param>
internal sealed record PlannedBuffer(BufferPlace Place, string Key);
