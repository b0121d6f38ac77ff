namespace Lora.Llm.Tokenization;

/// <summary>Puts a blank before every token that begins a word and none before one that goes on with it; cleaning takes blanks before signs away again.</summary>
internal sealed class WordPieceDecoder(string prefix, bool cleans) : TokenDecoder
{
    // In this order, within one token each.
    private static readonly (string Old, string New)[] Cleanings =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
        (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens)
    {
        var result = new string[tokens.Count];
        for (int i = 0; i < result.Length; i++)
        {
            string token = tokens[i];
            if (i > 0)
            {
                token = token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
            }

            result[i] = cleans && token.Contains(' ', StringComparison.Ordinal) ? Clean(token) : token;
        }

        return result;
    }

    private static string Clean(string token)
    {
        foreach ((string old, string replacement) in Cleanings)
        {
            token = token.Replace(old, replacement, StringComparison.Ordinal);
        }

        return token;
    }
}
