using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Lower case, character by character and without regard to language.</summary>
internal sealed class LowercaseNormalizer : NormalizerStage
{
    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        for (int i = piece.Start; i < piece.End;)
        {
            Rune.DecodeFromUtf16(source.Slice(i, piece.End - i), out Rune rune, out int length);
            if (rune.Value == 0x130)
            {
                // The one character whose lower case is two: i with a dot above.
                target.Append("i\u0307", i);
            }
            else
            {
                target.Append(Rune.ToLowerInvariant(rune).Value, i);
            }

            i += length;
        }
    }
}
