namespace Lora.Tests;

public class LoraConfigTests
{
    private static readonly LoraConfig _valid = new() { TargetModules = ModuleSelector.EndsWith("fc") };

    [Fact]
    public void Defaults_are_PEFTs()
    {
        var config = new LoraConfig();
        Assert.Equal((8, 8.0, 0.0, false, BiasKind.None), (config.Rank, config.Alpha, config.Dropout, config.UseRankStabilizedScaling, config.Bias));
        Assert.Empty(config.RankPattern);
        Assert.Empty(config.AlphaPattern);
        Assert.Null(config.TargetModules);
        Assert.Null(config.ExcludedModules);
        Assert.Null(config.TaskType);
    }

    [Fact]
    public void All_linear_sets_rank_and_alpha() =>
        Assert.Equal(new LoraConfig { Rank = 16, Alpha = 32, TargetModules = ModuleSelector.AllLinear }, LoraConfig.AllLinear(16, 32));

    [Fact]
    public void Configurations_compare_by_value()
    {
        LoraConfig a = _valid with { RankPattern = new Dictionary<string, int> { ["q"] = 2 }, AlphaPattern = new Dictionary<string, double> { ["q"] = 2 } };
        LoraConfig b = _valid with { RankPattern = new Dictionary<string, int> { ["q"] = 2 }, AlphaPattern = new Dictionary<string, double> { ["q"] = 2 } };
        Assert.Equal(a, b);
        Assert.Equal(a.GetHashCode(), b.GetHashCode());
        Assert.NotEqual(a, b with { RankPattern = new Dictionary<string, int> { ["q"] = 3 } });
        Assert.NotEqual(a, b with { TargetModules = ModuleSelector.EndsWith("other") });
    }

    [Fact]
    public void A_dictionary_that_was_given_is_copied()
    {
        var ranks = new Dictionary<string, int> { ["q"] = 2 };
        LoraConfig config = _valid with { RankPattern = ranks };
        ranks["q"] = 5;
        Assert.Equal(2, config.RankFor("layers.0.q"));
    }

    [Theory]
    [InlineData(false, 4, 16, 4)]
    [InlineData(true, 4, 16, 8)]
    [InlineData(false, 3, -1.5, -0.5)]
    public void The_scale_is_alpha_over_the_rank_or_its_root(bool stabilized, int rank, double alpha, double expected) =>
        Assert.Equal(expected, (_valid with { UseRankStabilizedScaling = stabilized }).Scaling(rank, alpha));

    [Fact]
    public void Patterns_set_rank_and_alpha_apart()
    {
        LoraConfig config = _valid with
        {
            Rank = 4,
            Alpha = 9,
            RankPattern = new Dictionary<string, int> { ["layers.0.fc"] = 2 },
            AlphaPattern = new Dictionary<string, double> { ["fc"] = 0.5 },
        };
        Assert.Equal((2, 0.5), (config.RankFor("net.layers.0.fc"), config.AlphaFor("net.layers.0.fc")));
        Assert.Equal((4, 0.5), (config.RankFor("fc"), config.AlphaFor("fc")));
        Assert.Equal((4, 9.0), (config.RankFor("head"), config.AlphaFor("head")));
    }

    [Fact]
    public void Exclusion_wins_over_selection()
    {
        LoraConfig config = _valid with { ExcludedModules = ModuleSelector.Regex(@".*\.0\..*") };
        Assert.True(config.Selects("layers.1.fc"));
        Assert.False(config.Selects("layers.0.fc"));
        Assert.False(config.Selects("layers.1.other"));
    }

    [Fact]
    public void Every_problem_is_reported_at_once()
    {
        var config = new LoraConfig
        {
            Rank = 0,
            Alpha = double.NaN,
            Dropout = 1.5,
            Bias = BiasKind.All,
            ExcludedModules = ModuleSelector.AllLinear,
            RankPattern = new Dictionary<string, int> { ["*q"] = -1 },
            AlphaPattern = new Dictionary<string, double> { ["["] = double.PositiveInfinity },
        };
        Assert.Equal(
            """
            The adapter's configuration cannot be used:
              - Rank must be at least 1, but is 0.
              - Alpha must be a finite number, but is NaN.
              - Dropout must be a probability from 0 to 1, but is 1.5.
              - TargetModules is not set; use ModuleSelector.EndsWith("q_proj", "v_proj"), for example, or LoraConfig.AllLinear().
              - ExcludedModules cannot be AllLinear; name the modules to leave out.
              - Bias is All, which this version does not support yet.
              - RankPattern must hold ranks of at least 1, but '*q' has -1.
              - AlphaPattern must hold finite numbers, but '[' has Infinity.
              - RankPattern: the pattern '*q' is not a valid regular expression: nothing to repeat at position 0.
              - AlphaPattern: the pattern '[' is not a valid regular expression: unterminated character set at position 0.
            """,
            Assert.Throws<ArgumentException>(config.Validate).Message);
    }

    [Fact]
    public void A_valid_configuration_passes() => _valid.Validate();

    [Fact]
    public void A_rank_asked_of_an_invalid_pattern_is_an_error_that_names_it() => Assert.Equal(
        "A key cannot be used: the pattern '*a' is not a valid regular expression: nothing to repeat at position 0.",
        Assert.Throws<InvalidOperationException>(() => new LoraConfig { RankPattern = new Dictionary<string, int> { ["*a"] = 2 } }.RankFor("a")).Message);
}
