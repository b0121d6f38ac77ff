namespace Lora.Llm.Tokenization;

/// <summary>Puts a string before every piece that is not empty. It counts as part of the piece's first character.</summary>
internal sealed class PrependNormalizer(string prefix) : NormalizerStage
{
    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target)
    {
        if (piece.Length > 0)
        {
            target.Append(prefix, piece.Start);
            target.Copy(piece.Start, piece.Length);
        }
    }
}
