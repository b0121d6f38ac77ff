namespace Lora.Llm.Tokenization;

/// <summary>Rewrites the text before it is cut: Unicode forms, replacements, prefixes.</summary>
internal abstract class NormalizerStage
{
    public virtual void Apply(PieceText text) => text.Rewrite(Rewrite);

    public static NormalizerStage Read(JsonPart part)
    {
        string kind = part.String("type");
        return kind switch
        {
            "Sequence" => new SequenceNormalizer([.. part.Required("normalizers").Items().Select(Read)]),
            "NFC" => new UnicodeNormalizer(composes: true, isCompatible: false),
            "NFD" => new UnicodeNormalizer(composes: false, isCompatible: false),
            "NFKC" => new UnicodeNormalizer(composes: true, isCompatible: true),
            "NFKD" => new UnicodeNormalizer(composes: false, isCompatible: true),
            "Prepend" => new PrependNormalizer(part.String("prepend")),
            "Replace" => new ReplaceNormalizer(TextPattern.Read(part.Required("pattern")), part.String("content")),
            "Strip" => new StripNormalizer(part.Boolean("strip_left", true), part.Boolean("strip_right", true)),
            "StripAccents" => new StripAccentsNormalizer(),
            "Lowercase" => new LowercaseNormalizer(),
            "Nmt" => new NmtNormalizer(),
            "BertNormalizer" => BertNormalizer.Read(part),
            _ => throw part.Unsupported(
                kind, "BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Prepend", "Replace", "Sequence", "Strip", "StripAccents"),
        };
    }

    /// <summary>Writes the normal form of one open piece.</summary>
    protected abstract void Rewrite(AlignedText source, TextPiece piece, AlignedTextBuilder target);
}
