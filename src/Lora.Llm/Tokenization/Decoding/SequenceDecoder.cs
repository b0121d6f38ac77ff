namespace Lora.Llm.Tokenization;

internal sealed class SequenceDecoder(TokenDecoder[] decoders) : TokenDecoder
{
    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens) =>
        decoders.Aggregate(tokens, (current, decoder) => decoder.Decode(current));
}
