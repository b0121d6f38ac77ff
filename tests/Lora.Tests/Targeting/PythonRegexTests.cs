using System.Globalization;
using Lora.Targeting;

namespace Lora.Tests.Targeting;

/// <summary>The expectations are what Python 3.11's <c>re</c> does.</summary>
public class PythonRegexTests
{
    [Theory]
    [InlineData(@"(?P<n>a)(?P=n)", "aa", true)]
    [InlineData(@"(a)(?P<n>b)(c)\2", "abcb", true)]
    [InlineData(@"a\Z", "a", true)]
    [InlineData(@"a$", "a\n", false)]
    [InlineData(@"\w+", "naïve_1", true)]
    [InlineData(@"\w+", "a-b", false)]
    [InlineData(@"\w", "\u0301", false)]
    [InlineData(@"[\W]", "\u203f", true)]
    [InlineData(@"[\W]", "_", false)]
    [InlineData(@"\d", "٣", true)]
    [InlineData(@"(?a)\w", "é", false)]
    [InlineData(@"(?a)\W\S\D", "ééé", true)]
    [InlineData(@"(?a:\w)\w", "aé", true)]
    [InlineData(@"a{,2}", "aa", true)]
    [InlineData(@"a{,2}", "aaa", false)]
    [InlineData(@"a{,}b", "b", true)]
    [InlineData(@"a{2,}?", "aa", true)]
    [InlineData(@"a{x}", "a{x}", true)]
    [InlineData(@"a{}", "a{}", true)]
    [InlineData(@"a??b", "ab", true)]
    [InlineData(@"a++b", "aab", true)]
    [InlineData(@"a++ab", "aab", false)]
    [InlineData(@"a{2}+", "aa", true)]
    [InlineData(@"(?>a+)ab", "aab", false)]
    [InlineData(@"(?i)Q_PROJ", "q_proj", true)]
    [InlineData(@"(?i:Q)_proj", "q_proj", true)]
    [InlineData(@"(?s-i:.)", "\n", true)]
    [InlineData("(?x) a b # c)", "ab", true)]
    [InlineData(@"(?x: a [ ] )b", "a b", true)]
    [InlineData(@"(?#x)a", "a", true)]
    [InlineData(@"[]a]", "]", true)]
    [InlineData(@"[^]a]", "b", true)]
    [InlineData(@"[a-]", "-", true)]
    [InlineData(@"[a-c-[b]]", "-]", true)]
    [InlineData(@"[[:alpha:]]", "a]", true)]
    [InlineData(@"[\w.]+x", "a.bx", true)]
    [InlineData(@"\x41\u0042\103", "ABC", true)]
    [InlineData(@"(a)?(?(1)b|c)", "ab", true)]
    [InlineData(@"(a)?(?(1)b|c)", "c", true)]
    [InlineData(@"a|ab", "ab", true)]
    [InlineData(@"(?=a)*a", "a", true)]
    [InlineData("😀+", "😀😀", true)]
    [InlineData(@"layers.[0-3].(q|v)_proj", "layers.2.v_proj", true)]
    public void Full_match_agrees_with_Python(string pattern, string text, bool expected) =>
        Assert.Equal(expected, PythonRegex.FullMatch(pattern).IsMatch(text));

    [Theory]
    [InlineData("*a", "nothing to repeat at position 0")]
    [InlineData("^*", "nothing to repeat at position 1")]
    [InlineData("a**", "multiple repeat at position 2")]
    [InlineData("a{2}{3}", "multiple repeat at position 4")]
    [InlineData("a{3,2}", "min repeat greater than max repeat at position 2")]
    [InlineData("(", "missing ), unterminated subpattern at position 0")]
    [InlineData(")", "unbalanced parenthesis at position 0")]
    [InlineData("(hidden[", "unterminated character set at position 7")]
    [InlineData("[b-a]", "bad character range b-a at position 1")]
    [InlineData(@"[a-\d]", @"bad character range a-\d at position 1")]
    [InlineData(@"\p", @"bad escape \p at position 0")]
    [InlineData(@"\", "bad escape (end of pattern) at position 0")]
    [InlineData("a(?i)b", "global flags not at the start of the expression at position 1")]
    [InlineData("(?P<1>a)", "bad character in group name '1' at position 4")]
    [InlineData("(?P<n>a)(?P<n>b)", "redefinition of group name 'n' as group 2; was group 1 at position 12")]
    [InlineData("(?P=m)", "unknown group name 'm' at position 4")]
    [InlineData(@"\1", "invalid group reference 1 at position 1")]
    [InlineData("(?(1)a|b)", "invalid group reference 1 at position 3")]
    [InlineData("(?<n>a)", "unknown extension ?<n at position 1")]
    [InlineData("(?Px)", "unknown extension ?Px at position 1")]
    [InlineData("(?y)", "unknown extension ?y at position 1")]
    [InlineData("a(?#", "missing ), unterminated comment at position 1")]
    public void An_invalid_pattern_is_refused_in_Pythons_words(string pattern, string reason) =>
        Assert.Equal(reason, Assert.Throws<PatternException>(() => PythonRegex.FullMatch(pattern)).Message);

    [Fact]
    public void Match_looks_at_the_beginning_only() => Assert.True(PythonRegex.Match("a").IsMatch("ab"));

    [Fact]
    public void A_pattern_that_would_backtrack_for_ever_is_answered_at_once() =>
        Assert.False(PythonRegex.FullMatch("(a+)+b").IsMatch(new string('a', 5000)));

    [Fact]
    public void A_pattern_that_needs_backtracking_is_given_up()
    {
        // A reference to a group keeps the pattern off the engine that never backtracks.
        PythonRegex regex = PythonRegex.FullMatch(@"(x?)(a+)+\1b");
        string text = new('a', 40);
        Assert.Equal(
            string.Create(CultureInfo.InvariantCulture, $@"The pattern '(x?)(a+)+\1b' was given up after 2 s on the module path '{text}'. Nested repetitions such as (a+)+ cause this: write it without them."),
            Assert.Throws<InvalidOperationException>(() => regex.IsMatch(text)).Message);
    }
}
