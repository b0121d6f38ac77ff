namespace Lora.Llm.Tokenization;

/// <summary>Turns the tokens' texts back into text, step by step; what the last step leaves is joined.</summary>
internal abstract class TokenDecoder
{
    public abstract IReadOnlyList<string> Decode(IReadOnlyList<string> tokens);

    public static TokenDecoder Read(JsonPart part)
    {
        string kind = part.String("type");
        return kind switch
        {
            "Sequence" => new SequenceDecoder([.. part.Required("decoders").Items().Select(Read)]),
            "ByteLevel" => new ByteLevelDecoder(),
            "ByteFallback" => new ByteFallbackDecoder(),
            "Fuse" => new FuseDecoder(),
            "Replace" => new ReplaceDecoder(TextPattern.Read(part.Required("pattern")), part.String("content")),
            "Strip" => new StripDecoder(part.String("content"), part.Int32("start"), part.Int32("stop")),
            "Metaspace" => new MetaspaceDecoder(MetaspaceScheme.Read(part)),
            "BPEDecoder" => new SuffixDecoder(part.OptionalString("suffix") ?? "</w>"),
            "WordPiece" => new WordPieceDecoder(part.OptionalString("prefix") ?? "##", part.Boolean("cleanup", true)),
            _ => throw part.Unsupported(
                kind, "BPEDecoder", "ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Sequence", "Strip", "WordPiece"),
        };
    }
}
