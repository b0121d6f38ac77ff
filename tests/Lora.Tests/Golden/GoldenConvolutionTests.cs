using System.Text.Json;
using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
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
    public void Merged_and_unmerged_are_the_base_with_the_sum_of_the_weights(string name)
    {
        using var golden = new GoldenCase(name);
        using var noGrad = no_grad();
        using SpecModel model = Build(golden);
        LoraConfig config = PeftAdapterConfig.Load(Path.Combine(golden.PathOf("adapter"), PeftAdapterConfig.FileName)).ToLoraConfig();
        using LoraModel<SpecModel> lora = LoraModel.Wrap(model, config);
        CopyTensors(golden, lora);
        model.eval();
        JsonElement run = golden.Runs.Single(run => run.GetProperty("mode").GetString() == "adapter");
        Tensor input = golden.Read(run.GetProperty("inputs").EnumerateObject().Single().Value.GetString()!).to(ScalarType.Float64);
        Tensor unmerged = model.call(input);

        using SpecModel summed = Build(golden);
        foreach (AdapterLayer layer in lora.Layers) AddTo(summed, layer);
        AssertClose(summed.call(input), unmerged);
        bool isPeftWrong = lora.Layers.Any(layer => layer.Layer.Adapter is ConvAdapter { DiffersFromPeft: true });
        double difference = Adapted.Difference(golden.Read(run.GetProperty("output").GetString()!), unmerged);
        if (isPeftWrong) Assert.True(difference > 1e-3, $"PEFT's output differs by {difference:G3} only.");
        else Assert.True(difference < 1e-4, $"PEFT's output differs by {difference:G3}.");

        if (config.UseLoraBias && lora.Layers.Any(layer => !layer.Layer.BaseLayer.named_parameters().Any(p => p.name == "bias"))) return;
        lora.Merge();
        AssertClose(unmerged, model.call(input));
        lora.Unmerge();
        AssertClose(unmerged, model.call(input));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(BadRanks))]
    public void A_rank_that_the_groups_do_not_divide_is_refused(string name)
    {
        using var golden = new GoldenCase(name);
        using SpecModel model = Build(golden);
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

    private static SpecModel Build(GoldenCase golden)
    {
        JsonElement spec = golden.Json.GetProperty("base");
        return new SpecModel(spec, golden.PathOf(spec.GetProperty("weights").GetString()!), ScalarType.Float64);
    }

    private static void CopyTensors(GoldenCase golden, LoraModel<SpecModel> lora)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(golden.PathOf("adapter"), AdapterFolder.WeightsName));
        foreach (AdapterLayer layer in lora.Layers)
            foreach ((string name, Parameter parameter) in layer.Layer.Adapter.FileTensors) file.CopyTo(AdapterFit.KeyOf(layer.Path, name), parameter);
    }

    // W[o, c, k] + s · Σ B[o, ρ] · A[ρ, c, k], written out over the groups. A convolution with groups loses them, since A reaches over them.
    private static void AddTo(SpecModel model, AdapterLayer layer)
    {
        LoraAdapter adapter = layer.Layer.Adapter;
        nn.Module module = model.named_modules().Single(m => m.name == layer.Path).module;
        Parameter? bias = module.named_parameters().FirstOrDefault(p => p.name == "bias").parameter;
        if (adapter.Bias is not null && bias is not null) bias.add_(adapter.Bias.mul(adapter.Scale));
        if (adapter.Bias is not null && bias is null)
            ((Linear)module).bias = new Parameter(adapter.Bias.mul(adapter.Scale), requires_grad: false);
        if (module is not Convolution convolution)
        {
            module.get_parameter("weight")!.add_(adapter.B.matmul(adapter.A).mul(adapter.Scale));
            Normalize(module.get_parameter("weight")!, adapter);
            return;
        }
        long groups = convolution.groups, output = convolution.out_channels / groups, input = convolution.in_channels / groups, narrow = adapter.Rank / groups;
        Tensor whole = zeros([convolution.out_channels, .. adapter.A.shape[1..]], ScalarType.Float64, TestDevice.Current);
        for (long o = 0; o < convolution.out_channels; o++)
        {
            long group = o / output;
            whole[o].narrow(0, group * input, input).copy_(convolution.weight[o]);
            for (long p = 0; p < narrow; p++) whole[o].add_(adapter.A[(group * narrow) + p].mul(adapter.B[o, p].flatten()[0]).mul(adapter.Scale));
        }
        Normalize(whole, adapter);
        convolution.weight = new Parameter(whole, requires_grad: false);
        convolution.groups = 1;
    }

    // With DoRA each output's row has the magnitude as its norm.
    private static void Normalize(Tensor weight, LoraAdapter adapter)
    {
        if (adapter.Variant is not DoraVariant dora) return;
        for (long o = 0; o < weight.shape[0]; o++) weight[o].mul_(dora.Magnitude.flatten()[o].div(weight[o].square().sum().sqrt()));
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        double difference = Adapted.Difference(expected, actual);
        Assert.True(difference < 1e-12, $"The largest difference is {difference:G4}.");
    }
}
