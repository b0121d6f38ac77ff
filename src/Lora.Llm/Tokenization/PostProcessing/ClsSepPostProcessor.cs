namespace Lora.Llm.Tokenization;

/// <summary>BERT's frame: [CLS] A [SEP], and B [SEP] of type 1.</summary>
internal sealed class ClsSepPostProcessor(SpecialToken cls, SpecialToken sep) : PostProcessor
{
    public override bool Frames => true;

    public override int AddedTokens(bool isPair) => isPair ? 3 : 2;

    public override List<EncodingPart> Process(List<EncodingPart> parts, bool addsSpecialTokens)
    {
        for (int i = 0; i < parts.Count; i++)
        {
            parts[i].TypeId = i;
        }

        if (!addsSpecialTokens)
        {
            return parts;
        }

        List<EncodingPart> framed = [Special(parts[0], 0, cls), parts[0], Special(parts[0], 0, sep)];
        if (parts.Count > 1)
        {
            framed.Add(parts[1]);
            framed.Add(Special(parts[1], 1, sep));
        }

        return framed;
    }
}
