using System.Globalization;
using System.Text.Json;
using Lora.Llm.Tokenization;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Regular expressions as Hugging Face reads them.</summary>
public sealed class PatternTests
{
    private const string Llama3 =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    [Theory]
    [InlineData(@"\p{L}+", "a𝒳𐐀b 𝟘", "a𝒳𐐀b")]
    [InlineData(@"\p{N}", "𝟘1²", "𝟘|1|²")]
    [InlineData(@"[^\s\p{L}\p{N}]+", "😀🚀 x😀", "😀🚀|😀")]
    [InlineData(Llama3, "𝒳yz's 1234 😀😀\n  end", "𝒳yz|'s| |123|4| 😀😀\n| | end")]
    [InlineData("(?i:'s)", "'S '\u017F 's", "'S|'\u017F|'s")]
    [InlineData(@"(?i:x)s", "Xs XS X\u017F", "Xs")]
    [InlineData(@"\p{L}++\p{L}", "abc", "")]
    [InlineData(@"a{1,2}+", "aaaaa", "aaaaa")]
    [InlineData(@"\p{^L}", "a1", "1")]
    [InlineData(@"\w+", "a\u0903ⅷ_", "a\u0903ⅷ_")]
    [InlineData(@"\w+", "x²½¼①", "x²½¼")]
    [InlineData(@"\w", "\U0001F170\U0001F600", "\U0001F170")]
    [InlineData(@"\b\w", "a²b c①\u0903", "a|c|\u0903")]
    [InlineData(@"\B\w", "a²b", "²|b")]
    [InlineData(@"[\w]", "a½²", "a")]
    [InlineData(@"[^\w\s]+", "#½a", "#½")]
    [InlineData(@"\W", "½#²", "#")]
    [InlineData("x*", "xxa", "xx|")]
    [InlineData(@"^.", "a\nb", "a|b")]
    public void Finds(string pattern, string text, string expected)
    {
        var matches = new List<(int Start, int Length)>();
        Translate(pattern).Find(text, matches);
        Assert.Equal(expected, string.Join('|', matches.Select(match => text.Substring(match.Start, match.Length))));
    }

    [Theory]
    [InlineData(@"\p{Han}")]
    [InlineData(@"[a-z&&[^b]]")]
    [InlineData(@"\X")]
    [InlineData("(?<name>a)")]
    [InlineData("[😀]")]
    [InlineData("(a")]
    public void Refuses(string pattern) => Assert.Throws<NotSupportedException>(() => Translate(pattern));

    [Fact]
    public void Stand_ins_are_of_the_category_that_they_stand_for()
    {
        foreach (UnicodeCategory category in Enum.GetValues<UnicodeCategory>())
        {
            if (category is not (UnicodeCategory.Control or UnicodeCategory.Surrogate or UnicodeCategory.SpaceSeparator
                or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator))
            {
                Assert.Equal(category, CharUnicodeInfo.GetUnicodeCategory(RegexPattern.StandIn(category)));
            }
        }
    }

    private static RegexPattern Translate(string pattern)
    {
        using JsonDocument json = JsonDocument.Parse(JsonSerializer.Serialize(pattern));
        return new RegexPattern(OnigurumaSyntax.Translate(new JsonPart("tokenizer.json", "pattern", json.RootElement)));
    }
}
