using System.Globalization;
using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Cuts at every character of one kind.</summary>
internal sealed class CharacterPreTokenizer(Predicate<Rune> isDelimiter, SplitBehavior behavior) : PreTokenizerStage
{
    public static bool IsNumber(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    // All of ASCII's signs count, symbols too.
    public static bool IsPunctuation(Rune rune) => rune.IsAscii
        ? char.IsPunctuation((char)rune.Value) || char.IsSymbol((char)rune.Value)
        : CharacterRanges.Punctuation.Contains(rune);

    public static bool IsWhiteSpace(Rune rune) => Rune.IsWhiteSpace(rune);

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
            ReadOnlySpan<char> units = source.Slice(piece.Start, piece.Length);
            for (int i = 0; i < units.Length;)
            {
                Rune.DecodeFromUtf16(units[i..], out Rune rune, out int length);
                if (isDelimiter(rune))
                {
                    matches.Add((i, length));
                }

                i += length;
            }

            PieceCutter.Cut(piece, matches, inverts: false, behavior, parts);
        });
    }
}
