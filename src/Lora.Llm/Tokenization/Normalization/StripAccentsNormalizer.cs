using System.Globalization;
using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Drops combining marks.</summary>
internal sealed class StripAccentsNormalizer : NormalizerStage
{
    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        for (int i = piece.Start; i < piece.End;)
        {
            Rune.DecodeFromUtf16(source.Slice(i, piece.End - i), out Rune rune, out int length);
            if (Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark))
            {
                target.Copy(i, length);
            }

            i += length;
        }
    }
}
