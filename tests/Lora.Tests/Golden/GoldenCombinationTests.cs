using System.Text.Json;

namespace Lora.Tests.Golden;

/// <summary>Adapters that PEFT's add_weighted_adapter made of others: loaded they give PEFT's outputs, and made by us from the same ones they are the same adapters.</summary>
public sealed class GoldenCombinationTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string>> GroupD => GoldenFolder.Cases('D').Select(name => new TheoryDataRow<string>(name));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(GroupD))]
    [Trait("Golden", "D")]
    public void Combined_adapters_of_PEFT_compute_what_they_did(string name)
    {
        using var golden = new GoldenCase(name);
        new GoldenModelTests.SpecRunner(golden).RunAll();
        Report(golden);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(GroupD))]
    [Trait("Golden", "D")]
    public void Combining_gives_the_adapters_of_PEFT(string name)
    {
        using var golden = new GoldenCase(name);
        using var runner = new CombinationRunner(golden);
        foreach (JsonElement combination in golden.Json.GetProperty("combos").EnumerateArray()) runner.Run(combination);
        runner.RunWhatPeftPassesOver();
        Report(golden);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(GroupD))]
    [Trait("Golden", "D")]
    public void Defect01_and_02_Combining_rightly_gives_the_sum_in_float64(string name)
    {
        using var golden = new GoldenCase(name);
        using var runner = new CombinationRunner(golden);
        foreach (JsonElement combination in golden.Json.GetProperty("combos").EnumerateArray()) runner.RunRightly(combination);
        Assert.NotEqual(0, runner.Compared);
        output.WriteLine($"{runner.Compared} matrices compared");
    }

    private void Report(GoldenCase golden)
    {
        Assert.NotEqual(0, golden.Compared);
        output.WriteLine($"{golden.Compared} tensors compared");
    }
}
