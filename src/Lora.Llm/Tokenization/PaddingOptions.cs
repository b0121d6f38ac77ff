namespace Lora.Llm;

/// <summary>How the rows of a batch are brought to one length.</summary>
public sealed record PaddingOptions
{
    /// <summary>Where a short row is filled up. Default: right.</summary>
    public PaddingSide Side { get; init; }

    /// <summary>The id that fills rows up. Default: null, the tokenizer's own <see cref="HuggingFaceTokenizer.PadId"/>.</summary>
    public int? PadId { get; init; }

    /// <summary>The type id of padding. Default: 0.</summary>
    public int PadTypeId { get; init; }

    /// <summary>The length of all rows. Default: null, the length of the longest.</summary>
    public int? Length { get; init; }

    /// <summary>The length is rounded up to a multiple of this, such as 8 or 64. Default: 1.</summary>
    public int MultipleOf { get; init; } = 1;
}
