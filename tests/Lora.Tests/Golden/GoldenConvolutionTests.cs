using System.Text.Json;
using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>What PEFT gets wrong on convolutions is right here, measured in float64 with the same base weights, A and B.</summary>
public sealed class GoldenConvolutionTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static IEnumerable<TheoryDataRow<string>> Cases => "AB".SelectMany(GoldenFolder.Cases).Where(HasConvolution)
        .Select(name => new TheoryDataRow<string>(name).WithTrait("Golden", name[..1].ToUpperInvariant()));

    public static IEnumerable<TheoryDataRow<string>> BadRanks => GoldenFolder.Cases('A').Where(name => Json(name).TryGetProperty("bad_rank", out _))
        .Select(name => new TheoryDataRow<string>(name).WithTrait("Golden", "A"));

    public void Dispose() => _scope.Dispose();

    // PEFT: other numbers with a dilation or a padding mode (a10, a11), no merging with groups (a09) or with a three-dimensional kernel of 1 (a14).
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    public void Defect07_Merged_and_unmerged_are_the_base_with_the_sum_of_the_weights(string name)
    {
        using var golden = new GoldenCase(name);
        using var noGrad = no_grad();
        using SpecModel model = SummedWeights.Build(golden);
        LoraConfig config = PeftAdapterConfig.Load(Path.Combine(golden.PathOf("adapter"), PeftAdapterConfig.FileName)).ToLoraConfig();
        using LoraModel<SpecModel> lora = LoraModel.Wrap(model, config);
        SummedWeights.CopyTensors(golden, lora);
        JsonElement run = golden.Runs.Single(run => run.GetProperty("mode").GetString() == "adapter");
        Tensor input = golden.Read(run.GetProperty("inputs").EnumerateObject().Single().Value.GetString()!).to(ScalarType.Float64);
        Tensor unmerged = model.call(input);

        using SpecModel summed = SummedWeights.Build(golden);
        foreach (AdapterLayer layer in lora.Layers) SummedWeights.AddTo(summed, layer);
        SummedWeights.AssertClose(summed.call(input), unmerged);
        bool isPeftWrong = lora.Layers.Any(layer => layer.Layer.Adapter is ConvAdapter { DiffersFromPeft: true });
        double difference = Adapted.Difference(golden.Read(run.GetProperty("output").GetString()!), unmerged);
        if (isPeftWrong) Assert.True(difference > 1e-3, $"PEFT's output differs by {difference:G3} only.");
        else Assert.True(difference < 1e-4, $"PEFT's output differs by {difference:G3}.");

        if (config.UseLoraBias && lora.Layers.Any(layer => !layer.Layer.BaseLayer.named_parameters().Any(p => p.name == "bias"))) return;
        lora.Merge();
        SummedWeights.AssertClose(unmerged, model.call(input));
        lora.Unmerge();
        SummedWeights.AssertClose(unmerged, model.call(input));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(BadRanks))]
    public void A_rank_that_the_groups_do_not_divide_is_refused(string name)
    {
        using var golden = new GoldenCase(name);
        using SpecModel model = SummedWeights.Build(golden);
        int rank = golden.Json.GetProperty("bad_rank").GetProperty("r").GetInt32();
        string path = golden.Json.GetProperty("targeted_modules")[0].GetString()!;
        long groups = golden.Json.GetProperty("base").GetProperty("modules")[0].GetProperty("args").GetProperty("groups").GetInt64();
        var config = new LoraConfig { Rank = rank, TargetModules = ModuleSelector.EndsWith(path) };
        Assert.Equal(
            $"The model cannot be wrapped:\n  - '{path}' is a Conv2d with {groups} groups, which do not divide the rank {rank}: give it a multiple of {groups} as its rank (RankPattern), or leave it out of the targets (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, config)).Message);
        Assert.All(model.parameters(), parameter => Assert.True(parameter.requires_grad));
    }

    private static bool HasConvolution(string name) => Json(name).GetProperty("base").TryGetProperty("modules", out JsonElement modules)
        && modules.EnumerateArray().Any(module => module.GetProperty("type").GetString()!.StartsWith("Conv", StringComparison.Ordinal))
        && File.Exists(GoldenFolder.PathOf(name, Path.Combine("adapter", PeftAdapterConfig.FileName)))
        && !NeedsMore(PeftAdapterConfig.Load(GoldenFolder.PathOf(name, Path.Combine("adapter", PeftAdapterConfig.FileName))));

    private static bool NeedsMore(PeftAdapterConfig config)
    {
        var problems = new List<string>();
        PeftUnsupported.Check(config.Fields, problems);
        return problems.Count > 0;
    }

    private static JsonElement Json(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(GoldenFolder.PathOf(name, "case.json")));
        return document.RootElement.Clone();
    }
}
