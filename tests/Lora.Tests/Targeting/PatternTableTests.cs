using Lora.Targeting;

namespace Lora.Tests.Targeting;

public class PatternTableTests
{
    [Theory]
    [InlineData("q_proj", "q_proj", true)]
    [InlineData("q_proj", "layers.0.q_proj", true)]
    [InlineData("q_proj", "layers.0.xq_proj", false)]
    [InlineData("q_proj", "layers.0.q_proj.base", false)]
    [InlineData("^q_proj", "layers.0.q_proj", false)]
    [InlineData("^layers.0.q_proj", "layers.0.q_proj", true)]
    [InlineData(@"layers\.[01]\.fc", "net.layers.1.fc", true)]
    [InlineData("a|b", "x.b", true)]
    public void A_key_matches_a_path_or_its_end_behind_a_dot(string key, string path, bool expected) =>
        Assert.Equal(expected ? 3 : 1, Table((key, 3)).ValueFor(path, 1));

    [Fact]
    public void The_first_match_decides() => Assert.Equal(2, Table(("fc", 2), ("layers.0.fc", 5)).ValueFor("layers.0.fc", 1));

    [Fact]
    public void Order_is_part_of_the_value()
    {
        Assert.Equal(Table(("a", 1), ("b", 2)), Table(("a", 1), ("b", 2)));
        Assert.NotEqual(Table(("a", 1), ("b", 2)), Table(("b", 2), ("a", 1)));
        Assert.Equal(Table(("a", 1)).GetHashCode(), Table(("a", 1)).GetHashCode());
        Assert.Equal("{a: 1, b: 2}", Table(("a", 1), ("b", 2)).ToString());
    }

    [Fact]
    public void Keys_that_decide_nothing_are_found() =>
        Assert.Equal(["layers.0.fc", "q"], Table(("fc", 2), ("layers.0.fc", 5), ("q", 1)).Unused(["layers.0.fc", "layers.1.fc"]));

    [Fact]
    public void Sorting_is_done_only_where_it_changes_nothing()
    {
        PatternTable<int> overlapping = Table(("q_proj", 4), ("layers.1.q_proj", 14));
        Assert.Same(overlapping, overlapping.SortedFor(["layers.0.q_proj", "layers.1.q_proj"], 8));
        Assert.Equal(["layers.1.q_proj", "q_proj"], overlapping.SortedFor(["layers.0.q_proj"], 8).Keys);
    }

    [Fact]
    public void Invalid_keys_are_named() =>
        Assert.Equal(["the pattern '*x' is not a valid regular expression: nothing to repeat at position 0"], Table(("a", 1), ("*x", 2)).Problems());

    private static PatternTable<int> Table(params (string Key, int Value)[] pairs) => new(pairs.Select(pair => KeyValuePair.Create(pair.Key, pair.Value)));
}
