using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Replaces what a pattern finds in each token.</summary>
internal sealed class ReplaceDecoder(TextPattern pattern, string content) : TokenDecoder
{
    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens)
    {
        var result = new string[tokens.Count];
        var matches = new List<(int Start, int Length)>();
        for (int i = 0; i < result.Length; i++)
        {
            matches.Clear();
            pattern.Find(tokens[i], matches);
            result[i] = matches.Count == 0 ? tokens[i] : Replace(tokens[i], matches);
        }

        return result;
    }

    private string Replace(string token, List<(int Start, int Length)> matches)
    {
        var text = new StringBuilder();
        int done = 0;
        foreach ((int start, int length) in matches)
        {
            text.Append(token, done, start - done).Append(content);
            done = start + length;
        }

        return text.Append(token, done, token.Length - done).ToString();
    }
}
