namespace Lora.Tests;

public class ModuleSelectorTests
{
    [Theory]
    [InlineData("q_proj", true)]
    [InlineData("layers.0.q_proj", true)]
    [InlineData("layers.0.xq_proj", false)]
    [InlineData("layers.0.q_proj.inner", false)]
    [InlineData("layers.1.mlp.up", true)]
    [InlineData("up", false)]
    public void A_name_picks_itself_and_paths_that_end_with_a_dot_and_it(string path, bool expected) =>
        Assert.Equal(expected, ModuleSelector.EndsWith("q_proj", "mlp.up").Matches(path));

    [Fact]
    public void A_name_is_no_pattern() => Assert.False(ModuleSelector.EndsWith("q.proj", ".*").Matches("q_proj"));

    [Theory]
    [InlineData("q_proj", "layers.0.q_proj", false)]
    [InlineData(@".*\.q_proj", "layers.0.q_proj", true)]
    [InlineData(@".*\.q_proj", "layers.0.q_proj.inner", false)]
    [InlineData(@".*\.(?P<n>q|v)_proj", "layers.0.v_proj", true)]
    public void A_pattern_must_match_the_whole_path(string pattern, string path, bool expected) =>
        Assert.Equal(expected, ModuleSelector.Regex(pattern).Matches(path));

    [Fact]
    public void Selectors_compare_by_value()
    {
        Assert.Equal(ModuleSelector.EndsWith("a", "b"), ModuleSelector.EndsWith("b", "a", "a"));
        Assert.Equal(ModuleSelector.EndsWith("a", "b").GetHashCode(), ModuleSelector.EndsWith("b", "a").GetHashCode());
        Assert.NotEqual(ModuleSelector.EndsWith("a"), ModuleSelector.EndsWith("a", "b"));
        Assert.Equal(ModuleSelector.Regex("a"), ModuleSelector.Regex("a"));
        Assert.NotEqual(ModuleSelector.Regex("a"), ModuleSelector.EndsWith("a"));
        Assert.NotEqual(ModuleSelector.AllLinear, ModuleSelector.Regex("all-linear"));
    }

    [Fact]
    public void A_selector_says_what_it_is()
    {
        Assert.Equal("[q_proj, v_proj]", ModuleSelector.EndsWith("q_proj", "v_proj").ToString());
        Assert.Equal(@"/.*\.fc/", ModuleSelector.Regex(@".*\.fc").ToString());
        Assert.Equal("all-linear", ModuleSelector.AllLinear.ToString());
    }

    [Fact]
    public void An_invalid_pattern_is_refused_with_its_reason() => Assert.Equal(
        "The pattern '(hidden[' is not a valid regular expression: unterminated character set at position 7. (Parameter 'pattern')",
        Assert.Throws<ArgumentException>(() => ModuleSelector.Regex("(hidden[")).Message);

    [Fact]
    public void Names_are_required()
    {
        Assert.Throws<ArgumentException>(() => ModuleSelector.EndsWith());
        Assert.Throws<ArgumentException>(() => ModuleSelector.EndsWith("a", ""));
    }
}
