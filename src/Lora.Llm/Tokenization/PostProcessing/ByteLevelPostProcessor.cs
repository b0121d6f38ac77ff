namespace Lora.Llm.Tokenization;

/// <summary>Takes leading and trailing blanks out of the offsets.</summary>
internal sealed class ByteLevelPostProcessor(bool trimsOffsets, bool addsPrefixSpace) : PostProcessor
{
    public override List<EncodingPart> Process(List<EncodingPart> parts, bool addsSpecialTokens)
    {
        if (trimsOffsets)
        {
            foreach (EncodingPart part in parts)
            {
                Trim(part, addsPrefixSpace);
            }
        }

        return parts;
    }

    public static void Trim(EncodingPart part, bool addsPrefixSpace)
    {
        if (part.Offsets is null || part.Tokens is null)
        {
            return;
        }

        for (int i = 0; i < part.Ids.Count; i++)
        {
            string token = part.Tokens[i];
            (int start, int end) = part.Offsets[i];
            int leading = 0, trailing = 0;
            while (leading < token.Length && IsBlank(token[leading]))
            {
                leading++;
            }

            while (trailing < token.Length && IsBlank(token[^(trailing + 1)]))
            {
                trailing++;
            }

            // One blank before the first word was added by the pre-tokenizer and has no place of its own to be trimmed.
            if (leading == 1 && addsPrefixSpace && (i == 0 || start == 0))
            {
                leading = 0;
            }

            start = Math.Min(start + leading, end);
            if (trailing > 0 && end >= trailing)
            {
                end = Math.Max(end - trailing, start);
            }

            part.Offsets[i] = (start, end);
        }
    }

    private static bool IsBlank(char c) => c == ByteAlphabet.Space || char.IsWhiteSpace(c);
}
