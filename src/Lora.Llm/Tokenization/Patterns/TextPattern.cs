namespace Lora.Llm.Tokenization;

/// <summary>What a splitter or a replacer looks for.</summary>
internal abstract class TextPattern
{
    /// <summary>Adds the matches in the text, in order and without overlap, as (start, length) in UTF-16 units.</summary>
    public abstract void Find(ReadOnlySpan<char> text, List<(int Start, int Length)> matches);

    /// <summary>Reads <c>{"String": …}</c> or <c>{"Regex": …}</c>.</summary>
    public static TextPattern Read(JsonPart part)
    {
        if (part.Optional("String") is { } literal)
        {
            return new LiteralPattern(literal.AsString());
        }

        return part.Optional("Regex") is { } regex
            ? new RegexPattern(OnigurumaSyntax.Translate(regex), compiles: true)
            : throw part.Unexpected("{\"String\": …} or {\"Regex\": …}");
    }
}
