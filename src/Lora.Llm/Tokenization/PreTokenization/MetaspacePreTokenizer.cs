namespace Lora.Llm.Tokenization;

/// <summary>Writes blanks as a visible character and cuts before each.</summary>
internal sealed class MetaspacePreTokenizer(MetaspaceScheme scheme) : PreTokenizerStage
{
    private readonly LiteralPattern _delimiter = new(scheme.Replacement);

    public override bool NeedsOrigin => scheme.Prefix == MetaspacePrefix.First;

    public override void Apply(PieceText text, bool cuts)
    {
        text.Rewrite(Write);
        if (scheme.Splits)
        {
            new SplitPreTokenizer(_delimiter, SplitBehavior.MergedWithNext, inverts: false).Apply(text, cuts);
        }
    }

    private void Write(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        bool hasPrefix = source[piece.Start] == ' ' || source.Slice(piece.Start, piece.Length).StartsWith(scheme.Replacement, StringComparison.Ordinal);
        if (!hasPrefix && (scheme.Prefix == MetaspacePrefix.Always || (scheme.Prefix == MetaspacePrefix.First && source.StartOf(piece.Start) == 0)))
        {
            target.Append(scheme.Replacement, piece.Start);
        }

        for (int i = piece.Start; i < piece.End; i++)
        {
            if (source[i] == ' ')
            {
                target.Append(scheme.Replacement, i);
            }
            else
            {
                target.Copy(i, 1);
            }
        }
    }
}
