namespace Lora.Serialization.Formats;

/// <summary>The forms in which PEFT's files can hold an adapter.</summary>
internal enum PeftForm
{
    /// <summary>As PEFT writes it; a start that was taken off the base weights goes into the pair.</summary>
    Usual,

    /// <summary>The same, with the adapters of fused layers as those of plain ones.</summary>
    ExpandedFused,

    /// <summary>As PEFT writes it before it converts: without the start.</summary>
    Raw,
}
