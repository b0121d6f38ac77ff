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
