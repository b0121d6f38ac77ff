namespace Lora.Llm.Tokenization;

/// <summary>Turns the mark at the end of a word into a blank, and into nothing at the end of the text.</summary>
internal sealed class SuffixDecoder(string suffix) : TokenDecoder
{
    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens)
    {
        var result = new string[tokens.Count];
        for (int i = 0; i < result.Length; i++)
        {
            string blank = i == result.Length - 1 ? "" : " ";
            result[i] = suffix.Length == 0 ? tokens[i] : tokens[i].Replace(suffix, blank, StringComparison.Ordinal);
        }

        return result;
    }
}
