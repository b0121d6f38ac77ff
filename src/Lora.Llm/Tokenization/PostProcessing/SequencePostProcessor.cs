namespace Lora.Llm.Tokenization;

internal sealed class SequencePostProcessor(PostProcessor[] processors) : PostProcessor
{
    public override int AddedTokens(bool isPair) => processors.Sum(processor => processor.AddedTokens(isPair));

    public override List<EncodingPart> Process(List<EncodingPart> parts, bool addsSpecialTokens)
    {
        foreach (PostProcessor processor in processors)
        {
            parts = processor.Process(parts, addsSpecialTokens);
        }

        return parts;
    }
}
