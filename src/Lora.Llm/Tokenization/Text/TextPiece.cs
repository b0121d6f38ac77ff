namespace Lora.Llm.Tokenization;

/// <summary>A range of the text in work: either still to be tokenized, or already known to be one added token.</summary>
/// <param name="Start">First UTF-16 unit.</param>
/// <param name="Length">Number of units.</param>
/// <param name="TokenId">The added token's id, or <see cref="Open"/>.</param>
internal readonly record struct TextPiece(int Start, int Length, int TokenId = TextPiece.Open)
{
    public const int Open = -1;

    public bool IsOpen => TokenId == Open;

    public int End => Start + Length;
}
