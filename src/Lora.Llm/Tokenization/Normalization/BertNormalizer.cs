namespace Lora.Llm.Tokenization;

/// <summary>BERT's normalizer: cleaning and spacing, then accents off, then lower case, each where asked for.</summary>
internal static class BertNormalizer
{
    public static NormalizerStage Read(JsonPart part)
    {
        bool lowercases = part.Boolean("lowercase", true);
        var stages = new List<NormalizerStage> { new BertTextNormalizer(part.Boolean("clean_text", true), part.Boolean("handle_chinese_chars", true)) };
        if (part.Boolean("strip_accents", lowercases))
        {
            stages.Add(new UnicodeNormalizer(composes: false, isCompatible: false));
            stages.Add(new NonSpacingMarkNormalizer());
        }

        if (lowercases)
        {
            stages.Add(new LowercaseNormalizer());
        }

        return new SequenceNormalizer([.. stages]);
    }
}
