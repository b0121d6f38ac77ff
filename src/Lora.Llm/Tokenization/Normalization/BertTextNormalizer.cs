using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Drops control characters, makes all white space blanks, and puts blanks around CJK ideographs, so that each becomes a word.</summary>
internal sealed class BertTextNormalizer(bool cleans, bool spacesIdeographs) : NormalizerStage
{
    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        for (int i = piece.Start; i < piece.End;)
        {
            int plain = source.Slice(i, piece.End - i).IndexOfAnyExceptInRange(' ', '~');
            if (plain != 0)
            {
                int count = plain < 0 ? piece.End - i : plain;
                target.Copy(i, count);
                i += count;
                continue;
            }

            Rune.DecodeFromUtf16(source.Slice(i, piece.End - i), out Rune rune, out int length);
            if (cleans && IsWhiteSpace(rune))
            {
                target.Append(' ', i);
            }
            else if (spacesIdeographs && IsIdeograph(rune.Value))
            {
                target.Append(' ', i);
                target.Copy(i, length);
                target.Append(' ', i);
            }
            else if (!(cleans && IsDropped(rune)))
            {
                target.Copy(i, length);
            }

            i += length;
        }
    }

    // Of the control characters that are white space, all but these three count as control characters.
    private static bool IsWhiteSpace(Rune rune) => rune.Value is '\t' or '\n' or '\r' || (Rune.IsWhiteSpace(rune) && !Rune.IsControl(rune));

    private static bool IsDropped(Rune rune) =>
        rune.Value == 0xFFFD || CharacterRanges.ControlsAndFormats.Contains(rune) ||
        rune.Value is (>= 0xE000 and <= 0xF8FF) or (>= 0xF0000 and <= 0xFFFFD) or (>= 0x100000 and <= 0x10FFFD);

    private static bool IsIdeograph(int codePoint) => codePoint is
        (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F) or
        (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
