namespace Lora.Llm.Tokenization;

/// <summary>Cuts the text into the words that the model tokenizes one by one.</summary>
internal abstract class PreTokenizerStage
{
    /// <summary>Whether the stage has to know where in the original a piece lies.</summary>
    public virtual bool NeedsOrigin => false;

    /// <param name="text">The text in work.</param>
    /// <param name="cuts">False: rewrite only what the model needs (bytes, spaces), cut nothing.</param>
    public abstract void Apply(PieceText text, bool cuts);

    public static PreTokenizerStage Read(JsonPart part)
    {
        string kind = part.String("type");
        return kind switch
        {
            "Sequence" => new SequencePreTokenizer([.. part.Required("pretokenizers").Items().Select(Read)]),
            "ByteLevel" => new ByteLevelPreTokenizer(part.Boolean("add_prefix_space", true), part.Boolean("use_regex", true)),
            "Split" => new SplitPreTokenizer(
                TextPattern.Read(part.Required("pattern")), ReadBehavior(part.Required("behavior")), part.Boolean("invert", false)),
            "Metaspace" => MetaspaceScheme.Read(part).ToPreTokenizer(),
            "Digits" => new CharacterPreTokenizer(
                CharacterPreTokenizer.IsNumber, part.Boolean("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
            "Punctuation" => new CharacterPreTokenizer(
                CharacterPreTokenizer.IsPunctuation, part.Optional("behavior") is { } behavior ? ReadBehavior(behavior) : SplitBehavior.Isolated),
            "WhitespaceSplit" => new CharacterPreTokenizer(CharacterPreTokenizer.IsWhiteSpace, SplitBehavior.Removed),
            "Whitespace" => new WordPreTokenizer(),
            "BertPreTokenizer" => new SequencePreTokenizer([
                new CharacterPreTokenizer(CharacterPreTokenizer.IsWhiteSpace, SplitBehavior.Removed),
                new CharacterPreTokenizer(CharacterPreTokenizer.IsPunctuation, SplitBehavior.Isolated)]),
            "CharDelimiterSplit" => new SplitPreTokenizer(new LiteralPattern(part.String("delimiter")), SplitBehavior.Removed, inverts: false),
            _ => throw part.Unsupported(
                kind, "BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "Metaspace", "Punctuation", "Sequence", "Split", "Whitespace", "WhitespaceSplit"),
        };
    }

    private static SplitBehavior ReadBehavior(JsonPart part)
    {
        string name = part.AsString();
        return name switch
        {
            "Removed" => SplitBehavior.Removed,
            "Isolated" => SplitBehavior.Isolated,
            "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
            "MergedWithNext" => SplitBehavior.MergedWithNext,
            "Contiguous" => SplitBehavior.Contiguous,
            _ => throw part.Unsupported(name, "Contiguous", "Isolated", "MergedWithNext", "MergedWithPrevious", "Removed"),
        };
    }
}
