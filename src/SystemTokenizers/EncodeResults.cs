namespace Microsoft.ML.Tokenizers;

/// <summary>What a tokenizer's core hands back: the tokens, the normalized text if it reports one, and how much of the text they cover.</summary>
public struct EncodeResults<T>
{
    public IReadOnlyList<T> Tokens { get; set; }

    public string? NormalizedText { get; set; }

    public int CharsConsumed { get; set; }
}
