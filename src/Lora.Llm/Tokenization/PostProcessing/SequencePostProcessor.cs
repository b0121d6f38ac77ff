namespace Lora.Llm.Tokenization;

internal sealed class SequencePostProcessor(PostProcessor[] processors) : PostProcessor
{
    public override bool Frames => Array.Exists(processors, processor => processor.Frames);

    public static SequencePostProcessor ReadSequence(JsonPart part)
    {
        PostProcessor[] processors = [.. part.Required("processors").Items().Select(Read)];
        return processors.Count(processor => processor.Frames) <= 1
            ? new SequencePostProcessor(processors)
            : throw part.Unsupported("holds more than one of BertProcessing, RobertaProcessing and TemplateProcessing, which is not supported: their special tokens would go inside each other.");
    }

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
