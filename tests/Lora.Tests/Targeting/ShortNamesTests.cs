using Lora.Targeting;

namespace Lora.Tests.Targeting;

public class ShortNamesTests
{
    private static readonly string[] _layer = ["self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj", "mlp.down_proj"];

    [Fact]
    public void A_long_list_becomes_the_endings_that_all_layers_share() =>
        Assert.Equal(["down_proj", "k_proj", "q_proj", "up_proj"], Shortened(5, ["model.embed", "model.norm", "lm_head"]).Order());

    [Fact]
    public void A_short_list_stays() => Assert.Equal(16, Shortened(4, ["lm_head"]).Count);

    [Fact]
    public void An_ending_that_picks_another_module_is_lengthened() =>
        Assert.Equal(["k_proj", "mlp.down_proj", "q_proj", "up_proj"], Shortened(5, ["vision.down_proj"]).Order());

    [Fact]
    public void Names_that_cannot_be_condensed_stay()
    {
        string[] names = [.. Enumerable.Range(0, 20).Select(i => $"fc{i}")];
        Assert.Equal(names, ShortNames.Of(names, ["head"]));
    }

    [Fact]
    public void What_is_picked_does_not_change()
    {
        string[] others = ["model.layers.0.mlp", "a.q_proj", "model.layers.9.mlp.up_proj"];
        ModuleSelector selector = ModuleSelector.EndsWith(Shortened(5, others));
        Assert.All(Names(5), name => Assert.True(selector.Matches(name)));
        Assert.All(others, name => Assert.False(selector.Matches(name)));
    }

    private static IReadOnlyList<string> Shortened(int layers, string[] others) => ShortNames.Of([.. Names(layers)], others);

    private static IEnumerable<string> Names(int layers) => Enumerable.Range(0, layers).SelectMany(i => _layer.Select(name => $"model.layers.{i}.{name}"));
}
