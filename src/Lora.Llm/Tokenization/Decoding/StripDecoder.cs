namespace Lora.Llm.Tokenization;

/// <summary>Takes up to <c>start</c> and <c>stop</c> copies of a character off the ends of each token.</summary>
internal sealed class StripDecoder(string content, int start, int stop) : TokenDecoder
{
    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens) => [.. tokens.Select(Strip)];

    private string Strip(string token)
    {
        if (content.Length == 0)
        {
            return token;
        }

        ReadOnlySpan<char> rest = token;
        for (int i = 0; i < start && rest.StartsWith(content, StringComparison.Ordinal); i++)
        {
            rest = rest[content.Length..];
        }

        for (int i = 0; i < stop && rest.EndsWith(content, StringComparison.Ordinal); i++)
        {
            rest = rest[..^content.Length];
        }

        return rest.Length == token.Length ? token : rest.ToString();
    }
}
