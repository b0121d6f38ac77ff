namespace Lora.Llm.Tokenization;

internal sealed class SequenceNormalizer(NormalizerStage[] stages) : NormalizerStage
{
    public override void Apply(PieceText text)
    {
        foreach (NormalizerStage stage in stages)
        {
            stage.Apply(text);
        }
    }

    protected override void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target) =>
        throw new NotSupportedException("A sequence works through its stages.");
}
