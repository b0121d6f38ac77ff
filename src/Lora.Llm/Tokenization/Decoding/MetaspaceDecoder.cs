namespace Lora.Llm.Tokenization;

/// <summary>Turns the visible character back into blanks and drops those of the first token, which encoding had put there.</summary>
internal sealed class MetaspaceDecoder(MetaspaceScheme scheme) : TokenDecoder
{
    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens)
    {
        var result = new string[tokens.Count];
        for (int i = 0; i < result.Length; i++)
        {
            string blank = i == 0 && scheme.Prefix != MetaspacePrefix.Never ? "" : " ";
            result[i] = tokens[i].Replace(scheme.Replacement, blank, StringComparison.Ordinal);
        }

        return result;
    }
}
