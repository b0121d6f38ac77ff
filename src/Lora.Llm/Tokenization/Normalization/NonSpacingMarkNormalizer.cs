using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Drops combining marks that take no room of their own: BERT's idea of accents.</summary>
internal sealed class NonSpacingMarkNormalizer : NormalizerStage
{
    // The first mark of all.
    private const char FirstMark = '\u0300';

    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        for (int i = piece.Start; i < piece.End;)
        {
            int plain = source.Slice(i, piece.End - i).IndexOfAnyInRange(FirstMark, '\uFFFF');
            if (plain != 0)
            {
                int count = plain < 0 ? piece.End - i : plain;
                target.Copy(i, count);
                i += count;
                continue;
            }

            Rune.DecodeFromUtf16(source.Slice(i, piece.End - i), out Rune rune, out int length);
            if (!CharacterRanges.NonSpacingMarks.Contains(rune))
            {
                target.Copy(i, length);
            }

            i += length;
        }
    }
}
