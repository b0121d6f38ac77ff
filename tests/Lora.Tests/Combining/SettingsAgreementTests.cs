using Lora.Combining;
using Lora.Injection;

namespace Lora.Tests.Combining;

/// <summary>Settings that one adapter cannot have for several are named.</summary>
public sealed class SettingsAgreementTests
{
    [Fact]
    public void Trained_biases_of_the_base_are_refused_by_name() =>
        Assert.Equal(["'b' has bias \"all\", which cannot be combined"], Problems(new LoraConfig { Rank = 3 }, new LoraConfig { Bias = BiasKind.All }));

    [Fact]
    public void What_says_nothing_about_the_sum_may_differ() => Assert.Empty(Problems(
        new LoraConfig { Rank = 3, Alpha = 4, Dropout = 0.1, UseRankStabilizedScaling = true, TaskType = "CAUSAL_LM", InferenceMode = false },
        new LoraConfig { RankPattern = new Dictionary<string, int> { ["x"] = 2 }, TargetModules = ModuleSelector.AllLinear, ExcludedModules = ModuleSelector.EndsWith("y") }));

    private static IEnumerable<string> Problems(params LoraConfig[] configs)
    {
        AdapterEntry[] entries = [.. configs.Select((config, i) => new AdapterEntry(((char)('a' + i)).ToString(), config, null, []))];
        return SettingsAgreement.Problems(new CombineRequest("blend", [.. entries.Select(entry => (entry.Name, 1.0))], new CombineOptions(), entries.ToDictionary(entry => entry.Name), []));
    }
}
