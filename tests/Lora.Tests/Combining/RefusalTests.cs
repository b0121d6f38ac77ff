using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>What cannot be combined is refused with every problem at once, and nothing has changed then.</summary>
public sealed class RefusalTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly LoraModel<nn.Module<Tensor, Tensor>> _lora = Blends.OfSeveralRanks(Blends.Model());

    public void Dispose()
    {
        _lora.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void Names_and_weights() => Refused(
        "b",
        [("a", double.NaN), ("a", 1), ("sql", double.PositiveInfinity)],
        new CombineOptions { Method = CombineMethod.Cat },
        "there is an adapter 'b' already: delete or rename it, or choose another name",
        "the weight of 'a' is NaN, but must be a finite number",
        "there is no adapter 'sql'; there is 'a', 'b', 'c'",
        "the weight of 'sql' is Infinity, but must be a finite number",
        "adapter 'a' is named 2 times: name it once, with the sum of the weights");

    [Fact]
    public void No_adapter_and_an_unusable_name() => Refused(
        "x.y",
        [],
        new CombineOptions { Method = CombineMethod.Cat },
        "'x.y' cannot name an adapter: give a name without dots and slashes other than 'base_layer' and '__base__'",
        "no adapter is named: give at least one of 'a', 'b', 'c' with its weight");

    [Fact]
    public void Unequal_ranks_and_a_missing_density() => Refused(
        "blend",
        [("a", 1), ("b", 1), ("c", 1)],
        new CombineOptions { Method = CombineMethod.Ties },
        "'ties' needs Density, the part of the values to keep, above 0 and at most 1",
        "'ties' combines A's and B's apart and needs equal ranks, but on '_first' 'a' has 2 and 'b' has 3: use 'cat' or a method that ends in a decomposition",
        "'ties' combines A's and B's apart and needs equal ranks, but on '_second' 'a' has 2, 'b' has 3 and 'c' has 1: use 'cat' or a method that ends in a decomposition");

    [Fact]
    public void Settings_of_no_use_to_the_method() => Refused(
        "blend",
        [("a", 1)],
        new CombineOptions { Method = CombineMethod.Cat, Density = 0.5, Rank = 0, EnergyThreshold = 1.5, ClampQuantile = -0.1, MajoritySign = MajoritySign.Frequency },
        "Density is 0.5, but 'cat' does not prune: leave it out",
        "Rank is 0, but the rank of 'cat' follows from the adapters': leave it out, or use a method that ends in a decomposition",
        "EnergyThreshold is 1.5, but the rank of 'cat' follows from the adapters': leave it out, or use a method that ends in a decomposition",
        "ClampQuantile is -0.1, but 'cat' does not clamp: leave it out",
        "Rank must be at least 1, but is 0",
        "EnergyThreshold must be above 0 and at most 1, but is 1.5",
        "ClampQuantile must be from 0 to 1, but is -0.1",
        "MajoritySign is Frequency, but 'cat' elects no signs: leave it out");

    [Fact]
    public void Settings_out_of_range() => Refused(
        "blend",
        [("a", 1)],
        new CombineOptions { Method = CombineMethod.TiesSvd, Density = 0, EnergyThreshold = 0.9, MajoritySign = (MajoritySign)7, PeftCompatible = true, Rank = -2 },
        "Rank must be at least 1, but is -2",
        "EnergyThreshold has no counterpart in PEFT: leave it or PeftCompatible out",
        "MajoritySign must be Total or Frequency, but is 7");

    [Theory]
    [InlineData(0, false)]
    [InlineData(-0.5, false)]
    [InlineData(-0.5, true)]
    [InlineData(1.01, false)]
    [InlineData(double.NaN, false)]
    [InlineData(double.NaN, true)]
    public void A_density_out_of_range(double density, bool peft) => Refused(
        "blend",
        [("a", 1)],
        new CombineOptions { Method = CombineMethod.MagnitudePruneSvd, Density = density, PeftCompatible = peft },
        FormattableString.Invariant($"Density must be above 0 and at most 1, but is {density}"));

    [Fact]
    public void A_density_of_0_where_the_kept_values_are_divided_by_it() => Refused(
        "blend",
        [("a", 1)],
        new CombineOptions { Method = CombineMethod.DareTiesSvd, Density = 0, PeftCompatible = true },
        "Density must be above 0 and at most 1, but is 0");

    [Fact]
    public void Values_that_are_no_numbers()
    {
        using (no_grad()) Blends.Adapter(_lora, "_second", "b").B[0, 0] = double.NaN;
        Refused("blend", [("a", 1), ("b", 1)], new CombineOptions(), "'b' holds a NaN or an infinity on '_second'");
    }

    [Fact]
    public void Targets_that_PEFT_does_not_combine()
    {
        _lora.AddAdapter("pattern", LoraConfig.AllLinear(rank: 2) with { TargetModules = ModuleSelector.Regex("_.*") });
        Refused(
            "blend",
            [("a", 1), ("pattern", 1)],
            new CombineOptions { PeftCompatible = true },
            "target_modules is a list in some of the adapters and a regular expression in others, which PEFT does not combine: do without PeftCompatible");
    }

    [Fact]
    public void Fewer_weights_than_adapters()
    {
        ArgumentException exception = Assert.Throws<ArgumentException>(() => _lora.Combine("blend", ["a", "b"], [1.0]));
        Assert.Equal("The adapters cannot be combined into 'blend': 2 are named and 1 weights given. Give each its weight. (Parameter 'weights')", exception.Message);
    }

    [Fact]
    public void A_finished_handle()
    {
        _lora.Unload();
        Assert.Throws<ObjectDisposedException>(() => _lora.Combine("blend", [("a", 1)]));
    }

    private void Refused(string name, (string, double)[] weights, CombineOptions options, params string[] problems)
    {
        IReadOnlyList<(string, string)> before = Adapted.Weights(_lora.Model);
        ArgumentException exception = Assert.Throws<ArgumentException>(() => _lora.Combine(name, weights, options));
        Assert.Equal($"The adapters cannot be combined into '{name}':{string.Concat(problems.Select(problem => $"\n  - {problem}"))} (Parameter 'adapters')", exception.Message);
        Assert.Equal(before, Adapted.Weights(_lora.Model));
        Assert.DoesNotContain("blend", _lora.AdapterNames);
    }
}
