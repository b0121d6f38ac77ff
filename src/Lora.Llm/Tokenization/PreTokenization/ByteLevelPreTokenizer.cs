using System.Text;
using System.Text.RegularExpressions;

namespace Lora.Llm.Tokenization;

/// <summary>Writes the UTF-8 bytes of the text in GPT-2's alphabet, after cutting with GPT-2's expression.</summary>
internal sealed partial class ByteLevelPreTokenizer(bool addsPrefixSpace, bool usesRegex) : PreTokenizerStage
{
    private static readonly SplitPreTokenizer Words = new(new RegexPattern(Gpt2()), SplitBehavior.Isolated, inverts: false);

    public override void Apply(PieceText text, bool cuts)
    {
        if (addsPrefixSpace)
        {
            text.Rewrite(static (source, piece, target) =>
            {
                if (source[piece.Start] != ' ')
                {
                    target.Append(' ', piece.Start);
                }

                target.Copy(piece.Start, piece.Length);
            });
        }

        if (usesRegex)
        {
            Words.Apply(text, cuts);
        }

        text.Rewrite(WriteBytes);
    }

    private static void WriteBytes(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        Span<byte> bytes = stackalloc byte[4];
        for (int i = piece.Start; i < piece.End;)
        {
            char unit = source[i];
            if (unit < 0x80)
            {
                target.Append(ByteAlphabet.ToCharacter((byte)unit), i++);
                continue;
            }

            // A lone surrogate has no UTF-8: U+FFFD takes its place.
            Rune.DecodeFromUtf16(source.Slice(i, piece.End - i), out Rune rune, out int length);
            foreach (byte value in bytes[..rune.EncodeToUtf8(bytes)])
            {
                target.Append(ByteAlphabet.ToCharacter(value), i);
            }

            i += length;
        }
    }

    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Gpt2();
}
