using Lora.Llm.Tokenization;

namespace Lora.Llm;

/// <summary>A tokenized text with everything that is known about its tokens. All lists have the same length.</summary>
public sealed class TokenizerEncoding
{
    internal TokenizerEncoding(List<EncodingPart> parts)
    {
        var ids = new List<int>();
        var tokens = new List<string>();
        var offsets = new List<Range>();
        var typeIds = new List<int>();
        var special = new List<bool>();
        foreach (EncodingPart part in parts)
        {
            ids.AddRange(part.Ids);
            tokens.AddRange(part.Tokens!);
            offsets.AddRange(part.Offsets!.Select(offset => offset.Start..offset.End));
            typeIds.AddRange(Enumerable.Repeat(part.TypeId, part.Ids.Count));
            special.AddRange(Enumerable.Repeat(part.IsSpecial, part.Ids.Count));
        }

        Ids = ids;
        Tokens = tokens;
        Offsets = offsets;
        TypeIds = typeIds;
        SpecialTokensMask = special;
    }

    /// <summary>How many tokens there are.</summary>
    public int Count => Ids.Count;

    /// <summary>The ids, for the model.</summary>
    public IReadOnlyList<int> Ids { get; }

    /// <summary>The tokens' texts as the vocabulary writes them.</summary>
    public IReadOnlyList<string> Tokens { get; }

    /// <summary>Where in its text each token lies, in UTF-16 units; <c>0..0</c> for special tokens put around the text.</summary>
    public IReadOnlyList<Range> Offsets { get; }

    /// <summary>Which sequence each token belongs to, in the numbering of the model's template.</summary>
    public IReadOnlyList<int> TypeIds { get; }

    /// <summary>True for the special tokens that were put around the text; those found in the text itself are false.</summary>
    public IReadOnlyList<bool> SpecialTokensMask { get; }

    /// <summary>The tokens, with blanks between them.</summary>
    public override string ToString() => string.Join(' ', Tokens);
}
