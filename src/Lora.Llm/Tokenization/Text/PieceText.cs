namespace Lora.Llm.Tokenization;

/// <summary>The text in work and the pieces it is cut into. Each stage either cuts finer or rewrites the open pieces.</summary>
internal sealed class PieceText(AlignedText text, List<TextPiece> pieces)
{
    private readonly int _originalLength = text.Length;

    public AlignedText Text { get; private set; } = text;

    public List<TextPiece> Pieces { get; private set; } = pieces;

    public static PieceText Whole(ReadOnlySpan<char> original, bool isTracked) =>
        new(AlignedText.FromOriginal(original, isTracked), original.IsEmpty ? [] : [new TextPiece(0, original.Length)]);

    /// <summary>Cuts every open piece; <paramref name="cut"/> adds its parts in order, see <see cref="Add"/>.</summary>
    public void Split(Action<AlignedText, TextPiece, List<TextPiece>> cut)
    {
        var parts = new List<TextPiece>(Pieces.Count);
        foreach (TextPiece piece in Pieces)
        {
            if (!piece.IsOpen)
            {
                parts.Add(piece);
                continue;
            }

            cut(Text, piece, parts);
        }

        Pieces = parts;
    }

    /// <summary>Adds the open piece from <paramref name="start"/> to <paramref name="end"/> unless it is empty.</summary>
    public static void Add(List<TextPiece> parts, int start, int end, int tokenId = TextPiece.Open)
    {
        if (end > start)
        {
            parts.Add(new TextPiece(start, end - start, tokenId));
        }
    }

    /// <summary>Rewrites every open piece; the others are carried over as they are.</summary>
    public void Rewrite(Action<AlignedText, TextPiece, AlignedTextBuilder> write)
    {
        AlignedText source = Text;
        var target = new AlignedTextBuilder(source, source.Length + 16, _originalLength);
        var parts = new List<TextPiece>(Pieces.Count);
        foreach (TextPiece piece in Pieces)
        {
            int start = target.Length;
            if (piece.IsOpen)
            {
                write(source, piece, target);
            }
            else
            {
                target.Copy(piece.Start, piece.Length);
            }

            if (target.Length > start)
            {
                parts.Add(piece with { Start = start, Length = target.Length - start });
            }
        }

        Text = target.ToText();
        Pieces = parts;
    }
}
