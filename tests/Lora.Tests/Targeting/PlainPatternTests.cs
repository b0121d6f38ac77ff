using Lora.Targeting;

namespace Lora.Tests.Targeting;

/// <summary>What passes as plain without being parsed must be valid, or files with broken patterns would be taken.</summary>
public sealed class PlainPatternTests
{
    [Theory]
    [InlineData("q_proj")]
    [InlineData(@"^model\.layers\.\d.*$", false)]
    [InlineData(@"^model\.layers\.0\..*q_proj$")]
    [InlineData("a.b-c*d+")]
    [InlineData("", true)]
    [InlineData("*a", false)]
    [InlineData("a**", false)]
    [InlineData("a*+", false)]
    [InlineData("a?", false)]
    [InlineData("^*", false)]
    [InlineData("a^b", false)]
    [InlineData("a$b", false)]
    [InlineData(@"a\", false)]
    [InlineData("(a)", false)]
    [InlineData("é", false)]
    public void Plain_is_said_of_valid_patterns_alone(string pattern, bool plain = true)
    {
        Assert.Equal(plain, PythonRegex.IsPlain(pattern));
        if (plain) Assert.NotNull(PythonRegex.Match($@"(.*\.)?({pattern})$"));
    }

    [Theory]
    [InlineData("a{1,2}b", "aab", true)]
    [InlineData("a{,2}b", "b", true)]
    [InlineData("a{2,}b", "aaab", true)]
    [InlineData("a{}", "a{}", true)]
    [InlineData("a{1,2,3}", "a{1,2,3}", true)]
    [InlineData("a{1", "a{1", true)]
    [InlineData("a{x}", "a{x}", true)]
    [InlineData("a{2}", "a", false)]
    public void Braces_are_bounds_or_themselves(string pattern, string text, bool matches) => Assert.Equal(matches, PythonRegex.FullMatch(pattern).IsMatch(text));

    [Fact]
    public void Braces_without_end_are_not_searched_again_and_again()
    {
        string pattern = $"{new string('{', 20_000)}x}}";
        long before = GC.GetAllocatedBytesForCurrentThread();
        // Not by PythonRegex: .NET's own parser joins escaped signs one by one.
        Assert.Equal(40_003, new PythonRegexTranslator(pattern).Translate().Length);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 24);
    }

    [Fact]
    public void All_short_patterns_of_its_signs_that_pass_are_valid()
    {
        const string signs = "a.*+^$\\-(";
        foreach (string pattern in signs.SelectMany(a => signs.SelectMany(b => signs.SelectMany(c => signs.Select(d => string.Concat(a, b, c, d))))))
        {
            if (PythonRegex.IsPlain(pattern)) PythonRegex.Match($@"(.*\.)?({pattern})$");
        }
    }
}
