namespace Lora.Llm.Tokenization;

internal sealed class SequenceDecoder(TokenDecoder[] decoders) : TokenDecoder
{
    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens)
    {
        long length = Length(tokens);
        int most = RunawayTextException.MostOf(length);
        IReadOnlyList<string> current = tokens;
        foreach (TokenDecoder decoder in decoders)
        {
            current = decoder.Decode(current);
            if (Length(current) > most)
            {
                throw new RunawayTextException($"The tokenizer makes more than {most} characters of tokens of {length}: steps of its decoder come again and again. Take them out of the file.");
            }
        }

        return current;
    }

    private static long Length(IReadOnlyList<string> tokens)
    {
        long length = 0;
        foreach (string token in tokens)
        {
            length += token.Length;
        }

        return length;
    }
}
