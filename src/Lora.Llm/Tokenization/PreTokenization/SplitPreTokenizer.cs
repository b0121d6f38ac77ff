namespace Lora.Llm.Tokenization;

/// <summary>Cuts where a pattern matches.</summary>
internal sealed class SplitPreTokenizer(TextPattern pattern, SplitBehavior behavior, bool inverts) : PreTokenizerStage
{
    public override void Apply(PieceText text, bool cuts)
    {
        if (!cuts)
        {
            return;
        }

        var matches = new List<(int Start, int Length)>();
        text.Split((source, piece, parts) =>
        {
            matches.Clear();
            pattern.Find(source.Slice(piece.Start, piece.Length), matches);
            PieceCutter.Cut(piece, matches, inverts, behavior, parts);
        });
    }
}
