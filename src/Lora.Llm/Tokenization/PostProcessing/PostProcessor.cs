namespace Lora.Llm.Tokenization;

/// <summary>Puts special tokens around the sequences and settles type ids and offsets.</summary>
internal abstract class PostProcessor
{
    /// <summary>How many special tokens it adds.</summary>
    public virtual int AddedTokens(bool isPair) => 0;

    /// <summary>Whether it lays a frame of special tokens, into which only whole sequences go.</summary>
    public virtual bool Frames => false;

    /// <param name="parts">One sequence, or two.</param>
    /// <param name="addsSpecialTokens">False: leave the special tokens out.</param>
    public abstract List<EncodingPart> Process(List<EncodingPart> parts, bool addsSpecialTokens);

    public static PostProcessor Read(JsonPart part)
    {
        string kind = part.String("type");
        return kind switch
        {
            "Sequence" => SequencePostProcessor.ReadSequence(part),
            "ByteLevel" => new ByteLevelPostProcessor(part.Boolean("trim_offsets", true), part.Boolean("add_prefix_space", true)),
            "TemplateProcessing" => TemplatePostProcessor.ReadTemplate(part),
            "BertProcessing" => new ClsSepPostProcessor(ReadToken(part.Required("cls")), ReadToken(part.Required("sep"))),
            "RobertaProcessing" => new RobertaPostProcessor(
                ReadToken(part.Required("cls")), ReadToken(part.Required("sep")), part.Boolean("trim_offsets", true), part.Boolean("add_prefix_space", true)),
            _ => throw part.Unsupported(kind, "BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"),
        };
    }

    /// <summary>A part of special tokens, matching <paramref name="sequence"/> in what it keeps.</summary>
    protected static EncodingPart Special(EncodingPart sequence, int typeId, params ReadOnlySpan<SpecialToken> tokens)
    {
        var part = new EncodingPart
        {
            TypeId = typeId,
            IsSpecial = true,
            Tokens = sequence.Tokens is null ? null : [],
            Offsets = sequence.Offsets is null ? null : [],
        };
        foreach (SpecialToken token in tokens)
        {
            part.Ids.Add(token.Id);
            part.Tokens?.Add(token.Text);
            part.Offsets?.Add((0, 0));
        }

        return part;
    }

    private static SpecialToken ReadToken(JsonPart part)
    {
        JsonPart[] items = [.. part.Items()];
        return items.Length == 2 ? new SpecialToken(items[0].AsString(), items[1].AsId()) : throw part.Unexpected("[token, id]");
    }
}
