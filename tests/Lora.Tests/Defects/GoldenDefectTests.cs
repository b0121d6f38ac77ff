using System.Text.Json;
using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Golden;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Defects;

/// <summary>
/// Golden cases in which PEFT is recorded to be wrong. That its number comes out of its files is checked with the other cases; here is what it should have been, in float64.
/// </summary>
public sealed class GoldenDefectTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static IEnumerable<TheoryDataRow<string>> Attentions => Cases(json => json.GetProperty("base").TryGetProperty("modules", out JsonElement modules)
        && modules.EnumerateArray().Any(module => module.GetProperty("type").ValueEquals("MultiheadAttention")));

    public static IEnumerable<TheoryDataRow<string>> LostOrders => Cases(json => json.TryGetProperty("ranks_in_memory", out _));

    public static IEnumerable<TheoryDataRow<string>> RootLists => Cases(json => json.TryGetProperty("layers_to_transform_error", out _));

    public static IEnumerable<TheoryDataRow<string>> OneExpert => Cases(json => json.TryGetProperty("one_expert", out _));

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    /// <summary>PEFT adds the update of an attention's output projection twice.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Attentions))]
    public void The_update_of_an_output_projection_counts_once(string name)
    {
        using var golden = new GoldenCase(name);
        using var noGrad = no_grad();
        using SpecModel model = SummedWeights.Build(golden), once = SummedWeights.Build(golden), twice = SummedWeights.Build(golden);
        using LoraModel<SpecModel> lora = LoraModel.Wrap(model, PeftAdapterConfig.Load(Path.Combine(golden.PathOf("adapter"), PeftAdapterConfig.FileName)).ToLoraConfig());
        SummedWeights.CopyTensors(golden, lora);
        foreach (AdapterLayer layer in lora.Layers)
        {
            SummedWeights.AddTo(once, layer);
            SummedWeights.AddTo(twice, layer, outputs: 2);
        }
        JsonElement run = AdapterRun(golden);
        Tensor input = Input(golden, run), output = model.call(input);
        SummedWeights.AssertClose(once.call(input), output);
        golden.Compare(run.GetProperty("output").GetString()!, twice.call(input), golden.Json.GetProperty("tolerance").GetProperty("output"));
        Assert.True(Adapted.Difference(golden.Read(run.GetProperty("output").GetString()!), output) > 1e-3);
    }

    /// <summary>PEFT writes patterns in alphabetical order, though the first that matches decides.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(LostOrders))]
    public void The_order_of_patterns_is_kept(string name)
    {
        using var golden = new GoldenCase(name);
        using var noGrad = no_grad();
        using SpecModel model = SummedWeights.Build(golden), summed = SummedWeights.Build(golden);
        // The file as it would be with the order that the adapter was trained with, saved and loaded again.
        LoraConfig passed = PassedConfig(golden);
        PeftAdapterConfig file = PeftAdapterConfig.Load(golden.PathOf(Path.Combine("adapter", PeftAdapterConfig.FileName)));
        Directory.CreateDirectory(_folder["one"]);
        file.With(file.ToLoraConfig() with { RankPattern = passed.RankPattern, AlphaPattern = passed.AlphaPattern }).Save(Path.Combine(_folder["one"], PeftAdapterConfig.FileName));
        File.Copy(golden.PathOf(Path.Combine("adapter", AdapterFolder.WeightsName)), Path.Combine(_folder["one"], AdapterFolder.WeightsName));
        using (SpecModel first = SummedWeights.Build(golden))
        using (LoraModel<SpecModel> lora = LoraModel.Load(first, _folder["one"])) lora.Save(_folder["two"]);
        using LoraModel<SpecModel> loaded = LoraModel.Load(model, _folder["two"]);
        JsonElement ranks = golden.Json.GetProperty("ranks_in_memory").GetProperty("default");
        Assert.All(loaded.Layers, layer => Assert.Equal(ranks.GetProperty(layer.Path).GetProperty("scaling").GetDouble(), layer.Scale, 1e-12));
        foreach (AdapterLayer layer in loaded.Layers) SummedWeights.AddTo(summed, layer);
        JsonElement run = golden.Runs.Single(run => run.GetProperty("id").ValueEquals("in_memory"));
        Tensor input = Input(golden, run), output = model.call(input);
        SummedWeights.AssertClose(summed.call(input), output);
        golden.Compare(run.GetProperty("output").GetString()!, output, golden.Json.GetProperty("tolerance").GetProperty("output"));
        // PEFT's files with the order lost: the same shapes are computed as PEFT does, others are an error.
        Assert.True(Adapted.Difference(golden.Read(AdapterRun(golden, "adapter").GetProperty("output").GetString()!), output) > 1e-3);
        if (!golden.Json.TryGetProperty("rank_reload", out JsonElement reload) || reload.GetProperty("ok").GetBoolean()) return;
        using SpecModel other = SummedWeights.Build(golden);
        Assert.All(
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(other, golden.PathOf("adapter_rank"))).Problems,
            problem => Assert.Matches(@"^tensor base_model\.model\.\S+ has the shape \[.*\], but \[.*\] is needed", problem));
    }

    /// <summary>PEFT sees no layer numbers in a list at the root of the model.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(RootLists))]
    public void Defect11_Layers_of_a_list_at_the_root_are_chosen_by_number(string name)
    {
        using var golden = new GoldenCase(name);
        using var noGrad = no_grad();
        string[] targeted = [.. golden.Json.GetProperty("targeted_modules").EnumerateArray().Select(path => path.GetString()!)];
        string list = targeted[0].Split('.')[0];
        foreach (string[] pattern in new string[][] { [], [list] })
        {
            using SpecModel model = SummedWeights.Build(golden), summed = SummedWeights.Build(golden);
            using LoraModel<SpecModel> lora = LoraModel.Wrap(model, PassedConfig(golden) with { LayersToTransform = [0], LayersPattern = [.. pattern] });
            SummedWeights.CopyTensors(golden, lora);
            Assert.Equal(targeted.Where(path => path.StartsWith(list + ".0.", StringComparison.Ordinal)), lora.Layers.Select(layer => layer.Path));
            foreach (AdapterLayer layer in lora.Layers) SummedWeights.AddTo(summed, layer);
            Tensor input = Input(golden, AdapterRun(golden));
            SummedWeights.AssertClose(summed.call(input), model.call(input));
            Assert.True(Adapted.Difference(golden.Read("out.base"), model.call(input)) > 1e-5);
        }
    }

    /// <summary>PEFT fails in the forward pass where a parameter holds one expert, or makes it another shape.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(OneExpert))]
    public void A_parameter_with_one_expert_is_adapted_like_one_with_several(string name)
    {
        using var golden = new GoldenCase(name);
        using var noGrad = no_grad();
        foreach (JsonProperty recorded in golden.Json.GetProperty("one_expert").EnumerateObject())
        {
            long[] Shape(string factor) => [.. recorded.Value.GetProperty("keys").GetProperty($"base_model.model.moe.{factor}.weight").EnumerateArray().Select(size => size.GetInt64())];
            (long[] a, long[] b) = (Shape("lora_A"), Shape("lora_B"));
            using var experts = new Experts(1, a[1], b[0], recorded.Name);
            using nn.Module<Tensor, Tensor> model = nn.Sequential(("moe", experts));
            model.to(ScalarType.Float64);
            int seed = 5;
            foreach ((_, TorchSharp.Modules.Parameter parameter) in model.named_parameters()) Noise.Fill(parameter, seed++, 0.6);
            var config = new LoraConfig { Rank = (int)a[0], Alpha = 3 * a[0], TargetParameters = ModuleSelector.EndsWith("moe.w_up") };
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config);
            LoraAdapter pair = ((CompositeAdapter)lora.Layers.Single().Layer.Adapter).Parts.Single();
            Assert.Equal(a, pair.A.shape);
            Assert.Equal(b, pair.B.shape);
            Noise.Fill(pair.A, seed++, 0.5);
            Noise.Fill(pair.B, seed, 0.5);
            Tensor input = Noise.Fill(empty([6, a[1]], ScalarType.Float64, TestDevice.Current), 9, 1.5), output = model.call(input);
            Tensor delta = pair.B.matmul(pair.A).mul(3);
            using (lora.Disable())
            {
                TorchSharp.Modules.Parameter weight = experts.named_parameters().Single(p => p.name == "w_up").parameter;
                weight.add_(recorded.Name == "eoi" ? delta : delta.t());
                SummedWeights.AssertClose(model.call(input), output);
                weight.sub_(recorded.Name == "eoi" ? delta : delta.t());
                Assert.True(Adapted.Difference(model.call(input), output) > 1e-3);
            }
        }
    }

    private static IEnumerable<TheoryDataRow<string>> Cases(Func<JsonElement, bool> records) => "AB".SelectMany(GoldenFolder.Cases).Where(name => File.Exists(GoldenFolder.PathOf(name, "io.safetensors"))).Where(name =>
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(GoldenFolder.PathOf(name, "case.json")));
        return records(document.RootElement);
    }).Select(name => new TheoryDataRow<string>(name).WithTrait("Golden", name[..1].ToUpperInvariant()));

    private static LoraConfig PassedConfig(GoldenCase golden) => FreshAdapterTests.Config(golden.Json.GetProperty("peft_config_passed"));

    private static JsonElement AdapterRun(GoldenCase golden, string? id = null) =>
        golden.Runs.Single(run => run.GetProperty("mode").ValueEquals("adapter") && (id is null || run.GetProperty("id").ValueEquals(id)));

    private static Tensor Input(GoldenCase golden, JsonElement run) => golden.Read(run.GetProperty("inputs").EnumerateObject().Single().Value.GetString()!).to(ScalarType.Float64);
}
