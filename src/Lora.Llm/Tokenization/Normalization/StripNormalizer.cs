namespace Lora.Llm.Tokenization;

/// <summary>Drops white space at the ends of every piece.</summary>
internal sealed class StripNormalizer(bool left, bool right) : NormalizerStage
{
    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        int start = piece.Start, end = piece.End;
        while (left && start < end && char.IsWhiteSpace(source[start]))
        {
            start++;
        }

        while (right && start < end && char.IsWhiteSpace(source[end - 1]))
        {
            end--;
        }

        target.Copy(start, end - start);
    }
}
