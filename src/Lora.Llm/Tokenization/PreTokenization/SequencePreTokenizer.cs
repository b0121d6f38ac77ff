namespace Lora.Llm.Tokenization;

internal sealed class SequencePreTokenizer(PreTokenizerStage[] stages) : PreTokenizerStage
{
    public override bool NeedsOrigin => Array.Exists(stages, stage => stage.NeedsOrigin);

    public override void Apply(PieceText text, bool cuts)
    {
        foreach (PreTokenizerStage stage in stages)
        {
            stage.Apply(text, cuts);
        }
    }
}
