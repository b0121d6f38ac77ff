using System.Text.Json;
using Lora.Initialization;
using Lora.Layers;
using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>What a fresh adapter starts from is what PEFT's starts from, up to the signs that a decomposition leaves open.</summary>
[Trait("Golden", "C")]
public sealed class GoldenInitializationTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string>> Cases => GoldenFolder.Cases('C').Where(name => GoldenFolder.BaseKind(name) == "spec").Select(name => new TheoryDataRow<string>(name));

    public static IEnumerable<TheoryDataRow<string>> Statistical => GoldenFolder.Cases('C').Where(name => GoldenFolder.BaseKind(name) == "none").Select(name => new TheoryDataRow<string>(name));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    public void The_start_is_PEFTs(string name)
    {
        using var golden = new GoldenCase(name);
        using var scope = NewDisposeScope();
        golden.Begin("start");
        SpecModel model = new GoldenModelTests.SpecRunner(golden).BuildModel();
        LoraConfig config = WithData(golden, model, FreshAdapterTests.Config(golden.Json.GetProperty("peft_config_passed")));
        using LoraModel<SpecModel> lora = LoraModel.Wrap(model, config);
        model.eval();

        // The base is what it was, and the model computes what it did.
        using (no_grad()) golden.Compare("out.base", model.call(golden.Read("in.x")), golden.Json.GetProperty("tolerance").GetProperty("output"));
        foreach (JsonProperty layer in golden.Json.GetProperty("ranks").GetProperty("default").EnumerateObject())
        {
            LoraAdapter adapter = lora.Layers.Single(one => one.Path == layer.Name).Layer.Adapter;
            Assert.Equal(layer.Value.GetProperty("r").GetInt32(), adapter.Rank);
            Assert.Equal(layer.Value.GetProperty("scaling").GetDouble(), adapter.Scale, 1e-12);
            Compare(golden, layer.Name, adapter, config.Initialization);
        }
        if (golden.Json.TryGetProperty("eva", out JsonElement eva))
        {
            Assert.Equal(eva.GetProperty("rank_pattern").EnumerateObject().Select(pair => (pair.Name, pair.Value.GetInt32())).Order(), lora.Config.RankPattern.Select(pair => (pair.Key, pair.Value)).Order());
            Assert.Equal(eva.GetProperty("alpha_pattern").EnumerateObject().Select(pair => (pair.Name, Math.Round(pair.Value.GetDouble(), 9))).Order(), lora.Config.AlphaPattern.Select(pair => (pair.Key, Math.Round(pair.Value, 9))).Order());
        }
        if (golden.Json.TryGetProperty("trainable", out JsonElement trainable))
            Assert.Equal(trainable.EnumerateArray().Select(key => key.GetString()!).Order(), lora.AdapterTensors("default").Where(tensor => tensor.Value.requires_grad).Select(tensor => tensor.Key).Order());
        if (golden.Json.TryGetProperty("odd_rank", out JsonElement odd) && !odd.GetProperty("ok").GetBoolean())
            Assert.Contains("needs an even one", Assert.Throws<ArgumentException>(() => lora.AddAdapter("odd", config with { Rank = config.Rank + 1 })).Message, StringComparison.Ordinal);
        output.WriteLine($"{golden.Compared} tensors compared");
        model.Dispose();
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Statistical))]
    public void The_numbers_are_drawn_from_PEFTs_distributions(string name)
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(GoldenFolder.PathOf(name, "case.json")));
        using var scope = NewDisposeScope();
        JsonElement spec = golden.RootElement.GetProperty("base"), statistics = golden.RootElement.GetProperty("statistics");
        using var model = new Modules(spec);
        AdapterInitialization initialization = name[..3].ToUpperInvariant() switch
        {
            "C06" => AdapterInitialization.Gaussian,
            "C07" => AdapterInitialization.Kaiming,
            "C08" => AdapterInitialization.TorchDefault,
            _ => throw new NotSupportedException($"The golden tests do not know the start of {name}."),
        };
        var config = new LoraConfig
        {
            Rank = spec.GetProperty("r").GetInt32(),
            TargetModules = ModuleSelector.EndsWith(spec.GetProperty("modules").EnumerateArray().Select(module => module.GetProperty("path").GetString()!)),
            Initialization = initialization,
        };
        using LoraModel<Modules> lora = LoraModel.Wrap(model, config);
        Dictionary<string, Tensor> tensors = lora.AdapterTensors("default").ToDictionary(tensor => tensor.Key, tensor => (Tensor)tensor.Value.to(ScalarType.Float64));
        Assert.Equal(statistics.EnumerateObject().Select(tensor => tensor.Name).Order(), tensors.Keys.Order());
        foreach (JsonProperty expected in statistics.EnumerateObject()) CheckDrawn(expected, tensors[expected.Name].detach());
    }

    // Means and deviations of n draws come within five standard errors of each other; what is drawn uniformly keeps to the same bounds.
    private static void CheckDrawn(JsonProperty expected, Tensor drawn)
    {
        Assert.Equal(expected.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()), drawn.shape);
        double deviation = expected.Value.GetProperty("std").GetDouble(), error = 5 * Math.Sqrt(2.0 / drawn.numel());
        if (deviation == 0)
        {
            Assert.Equal(0, drawn.count_nonzero().item<long>());
            return;
        }
        Assert.InRange(drawn.mean().ToDouble() - expected.Value.GetProperty("mean").GetDouble(), -error * deviation, error * deviation);
        Assert.InRange(drawn.std().ToDouble() / deviation, 1 - error, 1 + error);
        double largest = Math.Max(-expected.Value.GetProperty("min").GetDouble(), expected.Value.GetProperty("max").GetDouble());
        bool isUniform = largest < 2 * deviation;
        // The largest of n draws lies about 1/n below the bound.
        if (isUniform) Assert.InRange(drawn.abs().max().ToDouble() / largest, 1 - (10.0 / drawn.numel()), 1 + (10.0 / drawn.numel()));
        else Assert.True(drawn.abs().max().ToDouble() > 2 * deviation, $"{expected.Name} holds nothing beyond two standard deviations.");
    }

    private static void Compare(GoldenCase golden, string path, LoraAdapter adapter, AdapterInitialization initialization)
    {
        using var noGrad = no_grad();
        Tensor product = adapter.B.matmul(adapter.A), theirs = golden.Read($"init.{path}.BA");
        switch (initialization)
        {
            case OrthogonalInitialization:
                Assert.InRange(product.abs().max().ToDouble(), 0, 1e-6);
                Assert.True(adapter.A.abs().max().ToDouble() > 0 && adapter.B.abs().max().ToDouble() > 0, "A or B is zero.");
                break;
            case EvaInitialization:
                // PEFT stops when its components hardly turn any more.
                AssertNear(golden.Read($"init.{path}.AtA"), adapter.A.t().matmul(adapter.A), 1e-2, path);
                Assert.Equal(0, adapter.B.count_nonzero().item<long>());
                break;
            case MicaInitialization:
                AssertNear(golden.Read($"init.{path}.BBt"), adapter.B.matmul(adapter.B.t()), Allowed(golden, path, 1), path);
                Assert.Equal(0, adapter.A.count_nonzero().item<long>());
                break;
            case PissaInitialization { Iterations: not null }:
                // Nearer to the exact one than PEFT's random sketch, and so no further from PEFT's than twice that.
                AssertNear(theirs, product, 2 * golden.Json.GetProperty("exact_svd_difference").GetProperty(path).GetDouble() + 1e-5, path);
                break;
            case OloraInitialization when golden.Json.GetProperty("max_abs_difference_initial_vs_base").GetDouble() > 1e-3:
                // PEFT decomposes this weight without transposing it, and the model then computes something else.
                Assert.True(product.sub(theirs).abs().max().ToDouble() > 1e-3);
                break;
            default:
                AssertNear(theirs, product, Allowed(golden, path, theirs.abs().max().ToDouble()), path);
                break;
        }
        if (initialization.ChangesBase) Assert.True(adapter is LinearAdapter { HasStart: true });
    }

    // Vectors of singular values that lie near each other are as uncertain as float32 is, divided by the gap.
    private static double Allowed(GoldenCase golden, string path, double size) =>
        2e-5 * size / (golden.Json.TryGetProperty("relative_singular_gap", out JsonElement gaps) && gaps.GetProperty(path) is { ValueKind: JsonValueKind.Number } gap ? Math.Min(1, 10 * gap.GetDouble()) : 1);

    private static void AssertNear(Tensor expected, Tensor actual, double tolerance, string path)
    {
        Assert.Equal(expected.shape, actual.shape);
        double difference = expected.sub(actual).abs().max().ToDouble();
        Assert.True(difference <= tolerance, $"{path}: {difference:G4} is more than {tolerance:G4}.");
    }

    private static LoraConfig WithData(GoldenCase golden, SpecModel model, LoraConfig config) => config with
    {
        Initialization = config.Initialization switch
        {
            EvaInitialization eva => eva with { Passes = [.. golden.NamesOf("eva.batch").Select(name => Pass(model, golden.Read(name)))] },
            CordaInitialization corda => corda with { Passes = [Pass(model, golden.Read("corda.x"))] },
            var other => other,
        },
    };

    /// <summary>Modules that are never called.</summary>
    private sealed class Modules : nn.Module
    {
        internal Modules(JsonElement spec)
            : base(nameof(Modules))
        {
            foreach (JsonElement module in spec.GetProperty("modules").EnumerateArray())
                register_module(module.GetProperty("path").GetString()!, SpecModules.Make(module.GetProperty("type").GetString()!, module.GetProperty("args"), ScalarType.Float32));
        }
    }

    private static CalibrationPass Pass(SpecModel model, Tensor batch) => new(() => model.call(batch));
}
