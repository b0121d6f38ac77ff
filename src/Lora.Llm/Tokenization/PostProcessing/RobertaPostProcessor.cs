namespace Lora.Llm.Tokenization;

/// <summary>RoBERTa's frame: <c>&lt;s&gt; A &lt;/s&gt;</c> and <c>&lt;/s&gt; B &lt;/s&gt;</c>, all of type 0.</summary>
internal sealed class RobertaPostProcessor(SpecialToken cls, SpecialToken sep, bool trimsOffsets, bool addsPrefixSpace) : PostProcessor
{
    public override bool Frames => true;

    public override int AddedTokens(bool isPair) => isPair ? 4 : 2;

    public override List<EncodingPart> Process(List<EncodingPart> parts, bool addsSpecialTokens)
    {
        foreach (EncodingPart part in parts)
        {
            part.TypeId = 0;
            if (trimsOffsets)
            {
                ByteLevelPostProcessor.Trim(part, addsPrefixSpace);
            }
        }

        if (!addsSpecialTokens)
        {
            return parts;
        }

        var framed = new List<EncodingPart>();
        for (int i = 0; i < parts.Count; i++)
        {
            framed.Add(Special(parts[i], 0, i == 0 ? cls : sep));
            framed.Add(parts[i]);
            framed.Add(Special(parts[i], 0, sep));
        }

        return framed;
    }
}
