namespace Lora.Llm.Tokenization;

/// <summary>Replaces what a pattern finds. The new text counts as the last character of what it replaces.</summary>
internal sealed class ReplaceNormalizer(TextPattern pattern, string content) : NormalizerStage
{
    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        var matches = new List<(int Start, int Length)>();
        pattern.Find(source.Slice(piece.Start, piece.Length), matches);
        int done = piece.Start;
        foreach ((int offset, int length) in matches)
        {
            int start = piece.Start + offset;
            target.Copy(done, start - done);
            done = start + length;
            target.Append(content, done - 1);
        }

        target.Copy(done, piece.End - done);
    }
}
