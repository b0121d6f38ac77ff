namespace Lora.Llm.Tokenization;

/// <summary>Drops control characters and makes separators spaces, as SentencePiece's "nmt" rules do.</summary>
internal sealed class NmtNormalizer : NormalizerStage
{
    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        for (int i = piece.Start; i < piece.End; i++)
        {
            char c = source[i];
            switch (c)
            {
                case (>= '\u0001' and <= '\u0008') or '\u000B' or (>= '\u000E' and <= '\u001F') or '\u007F' or '\u008F' or '\u009F':
                    break;
                case '\u0009' or '\u000A' or '\u000C' or '\u000D' or '\u1680' or (>= '\u200B' and <= '\u200F') or '\u2028' or '\u2029'
                    or '\u2581' or '\uFEFF' or '\uFFFD':
                    target.Append(' ', i);
                    break;
                default:
                    target.Copy(i, 1);
                    break;
            }
        }
    }
}
