using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Cuts into words and runs of signs, <c>\w+|[^\w\s]+</c>, and drops the white space between them.</summary>
internal sealed class WordPreTokenizer : PreTokenizerStage
{
    private enum Kind
    {
        WhiteSpace,
        Word,
        Sign,
    }

    public override void Apply(PieceText text, bool cuts)
    {
        if (cuts)
        {
            text.Split(Cut);
        }
    }

    private static void Cut(AlignedText source, TextPiece piece, List<TextPiece> parts)
    {
        int start = piece.Start;
        Kind current = Kind.WhiteSpace;
        for (int i = piece.Start; i < piece.End;)
        {
            Rune.DecodeFromUtf16(source.Slice(i, piece.End - i), out Rune rune, out int length);
            Kind kind = WordCharacters.Contains(rune) ? Kind.Word : Rune.IsWhiteSpace(rune) ? Kind.WhiteSpace : Kind.Sign;
            if (kind != current)
            {
                Add(parts, current, start, i);
                start = i;
                current = kind;
            }

            i += length;
        }

        Add(parts, current, start, piece.End);
    }

    private static void Add(List<TextPiece> parts, Kind kind, int start, int end)
    {
        if (kind != Kind.WhiteSpace)
        {
            PieceText.Add(parts, start, end);
        }
    }
}
