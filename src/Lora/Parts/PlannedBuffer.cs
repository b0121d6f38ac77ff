using Lora.Injection;

namespace Lora.Parts;

/// <summary>A buffer of the model that an adapter is going to have its own of.</summary>
/// <param name="Whole">The module that is meant: the buffer's own, or one that holds that.</param>
/// <param name="Place">Where the buffer is.</param>
/// <param name="Key">Its path in the model, which is its key in PEFT's file, without the prefix.</param>
internal sealed record PlannedBuffer(ModuleSite Whole, BufferPlace Place, string Key);
