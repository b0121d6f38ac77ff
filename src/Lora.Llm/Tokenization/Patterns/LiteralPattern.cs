namespace Lora.Llm.Tokenization;

/// <summary>A plain string; the empty one matches between all characters and at both ends, as the empty regular expression does.</summary>
internal sealed class LiteralPattern(string literal) : TextPattern
{
    public override void Find(ReadOnlySpan<char> text, List<(int Start, int Length)> matches)
    {
        if (literal.Length == 0)
        {
            for (int i = 0; i <= text.Length; i++)
            {
                if (i == 0 || i == text.Length || !char.IsSurrogatePair(text[i - 1], text[i]))
                {
                    matches.Add((i, 0));
                }
            }

            return;
        }

        int start = 0;
        while (text[start..].IndexOf(literal, StringComparison.Ordinal) is >= 0 and int found)
        {
            matches.Add((start + found, literal.Length));
            start += found + literal.Length;
        }
    }
}
