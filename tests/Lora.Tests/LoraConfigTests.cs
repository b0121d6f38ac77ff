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
    public void An_initialization_is_never_null() => Assert.Throws<ArgumentNullException>(() => _valid with { Initialization = null! });

    [Fact]
    public void Configurations_compare_by_value()
    {
        LoraConfig a = _valid with { RankPattern = new Dictionary<string, int> { ["q"] = 2 }, AlphaPattern = new Dictionary<string, double> { ["q"] = 2 } };
        LoraConfig b = _valid with { RankPattern = new Dictionary<string, int> { ["q"] = 2 }, AlphaPattern = new Dictionary<string, double> { ["q"] = 2 } };
        Assert.Equal(a, b);
        Assert.Equal(a.GetHashCode(), b.GetHashCode());
        Assert.NotEqual(a, b with { RankPattern = new Dictionary<string, int> { ["q"] = 3 } });
        Assert.Equal(_valid with { ModulesToSave = ["a", "b"], LayersToTransform = [1], TrainableTokens = TrainableTokens.Of(3, 1) }, _valid with { ModulesToSave = ["a", "b"], LayersToTransform = [1], TrainableTokens = TrainableTokens.Of(3, 1) });
        Assert.NotEqual(_valid with { ModulesToSave = ["a", "b"] }, _valid with { ModulesToSave = ["b", "a"] });
        Assert.NotEqual(_valid with { TrainableTokens = TrainableTokens.Of(1, 3) }, _valid with { TrainableTokens = TrainableTokens.Of(3, 1) });
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
            Bias = (BiasKind)7,
            LayersToTransform = [3, -2],
            LayersPattern = ["("],
            LayerReplication = [new(0, 2), new(4, 4)],
            TrainableTokens = TrainableTokens.In("tok", 4, 4),
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
              - Bias must be None, All or LoraOnly, but is 7.
              - LayersToTransform must hold numbers from 0 on, but one is -2.
              - LayersPattern: the pattern '(' is not a valid regular expression: missing ), unterminated subpattern at position 0.
              - LayerReplication must hold ranges from a layer to a later one, but one goes from 4 to 4.
              - RankPattern must hold ranks of at least 1, but '*q' has -1.
              - AlphaPattern must hold finite numbers, but '[' has Infinity.
              - RankPattern: the pattern '*q' is not a valid regular expression: nothing to repeat at position 0.
              - AlphaPattern: the pattern '[' is not a valid regular expression: unterminated character set at position 0.
              - TrainableTokens: row 4 of 'tok' is given twice.
            """,
            Assert.Throws<ArgumentException>(config.Validate).Message);
    }

    [Fact]
    public void Layers_need_names_to_count_in()
    {
        LoraConfig config = _valid with { TargetModules = ModuleSelector.Regex(".*fc"), LayersToTransform = [0] };
        Assert.Equal(
            """
            The adapter's configuration cannot be used:
              - LayersToTransform needs TargetModules as a list of names; put the layers' numbers into the pattern instead.
            """,
            Assert.Throws<ArgumentException>(config.Validate).Message);
        Assert.Equal(
            """
            The adapter's configuration cannot be used:
              - LayersPattern is set without LayersToTransform, so it has no effect; set both or neither.
            """,
            Assert.Throws<ArgumentException>((_valid with { LayersPattern = ["layers"] }).Validate).Message);
    }

    [Theory]
    [InlineData("model.layers.1.fc", true)]
    [InlineData("model.layers.0.fc", false)]
    [InlineData("layers.1.fc", true)] // PEFT overlooks a list at the root.
    [InlineData("layers.0.fc", false)]
    [InlineData("layers.1.experts.0.fc", true)] // The first number counts,
    [InlineData("layers.0.experts.1.fc", false)]
    [InlineData("model.layers.0.experts.1.fc", false)]
    [InlineData("model.layers.11.fc", false)]
    [InlineData("net.fc", false)] // No number, no layer,
    [InlineData("fc", true)] // but a path that is named in full.
    public void Defect11_Layers_are_chosen_by_number_at_the_root_too(string path, bool selected) =>
        Assert.Equal(selected, (_valid with { LayersToTransform = [1] }).Selects(path));

    [Theory]
    [InlineData("model.layers.0.experts.1.fc", true)]
    [InlineData("model.layers.1.experts.0.fc", false)]
    [InlineData("experts.1.fc", true)]
    [InlineData("model.h.1.fc", true)]
    [InlineData("model.other.1.fc", false)]
    public void A_pattern_names_the_list_that_counts(string path, bool selected) =>
        Assert.Equal(selected, (_valid with { LayersToTransform = [1], LayersPattern = ["experts", "h"] }).Selects(path));

    [Fact]
    public void A_module_that_is_named_in_full_is_chosen_whatever_its_layer()
    {
        LoraConfig config = _valid with { TargetModules = ModuleSelector.EndsWith("fc", "net.layers.7.fc"), LayersToTransform = [1] };
        Assert.True(config.Selects("net.layers.7.fc"));
        Assert.False(config.Selects("net.layers.6.fc"));
    }

    [Fact]
    public void What_is_trained_in_full_is_not_adapted()
    {
        LoraConfig config = _valid with { ModulesToSave = ["head", "1.block"] };
        Assert.False(config.Selects("net.head.fc"));
        Assert.False(config.Selects("layers.1.block.fc"));
        Assert.True(config.Selects("net.lm_head.fc"));
        Assert.True(config.Selects("layers.11.block.fc"));
    }

    [Fact]
    public void A_valid_configuration_passes() => _valid.Validate();

    [Fact]
    public void A_rank_asked_of_an_invalid_pattern_is_an_error_that_names_it() => Assert.Equal(
        "A key cannot be used: the pattern '*a' is not a valid regular expression: nothing to repeat at position 0.",
        Assert.Throws<InvalidOperationException>(() => new LoraConfig { RankPattern = new Dictionary<string, int> { ["*a"] = 2 } }.RankFor("a")).Message);
}
