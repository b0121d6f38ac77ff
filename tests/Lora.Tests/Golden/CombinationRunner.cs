using System.Text.Json;
using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Combining;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>Carries out the entries of <c>combos</c> in a case, all on one model with the source adapters, and compares what comes out with PEFT's files and tensors.</summary>
internal sealed class CombinationRunner : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();
    private readonly GoldenCase _golden;
    private readonly SpecModel _model;
    private readonly LoraModel<SpecModel> _lora;

    public CombinationRunner(GoldenCase golden)
    {
        _golden = golden;
        JsonElement spec = golden.Json.GetProperty("base");
        _model = new SpecModel(spec, golden.PathOf(spec.GetProperty("weights").GetString()!));
        _model.eval();
        (string Name, string Folder)[] adapters = [.. Sources().Select(source => (source.Name, golden.PathOf(source.Folder)))];
        _lora = LoraModel.Load(_model, adapters[0].Folder, new WrapOptions { AdapterName = adapters[0].Name });
        foreach ((string name, string folder) in adapters[1..]) _lora.LoadAdapter(name, folder);
    }

    /// <summary>How many matrices have been compared with their restatement in float64.</summary>
    public int Compared { get; private set; }

    public void Run(JsonElement combination)
    {
        string id = combination.GetProperty("id").GetString()!;
        string[] before = [.. _lora.AdapterNames];
        if (!combination.TryGetProperty("dir", out JsonElement folder))
        {
            AssertRefused(combination, id);
            Assert.Equal(before, _lora.AdapterNames);
            return;
        }
        _golden.Begin($"combination_{id}");
        Combine(combination, id);
        Assert.DoesNotContain(id, _lora.ActiveAdapters);
        Compare(combination, id, _golden.PathOf(folder.GetString()!));
        _lora.DeleteAdapter(id);
        Assert.Equal(before, _lora.AdapterNames);
    }

    /// <summary>What PEFT accepts without a word and we refuse.</summary>
    public void RunWhatPeftPassesOver()
    {
        string[] names = [.. _lora.AdapterNames];
        var cat = new CombineOptions { Method = CombineMethod.Cat, PeftCompatible = true };
        if (_golden.Json.TryGetProperty("weights_shorter_than_adapters", out _)) Assert.Throws<ArgumentException>(() => _lora.Combine("short", names[..2], [1.0], cat));
        if (_golden.Json.TryGetProperty("existing_name", out _)) Assert.Throws<ArgumentException>(() => _lora.Combine(names[1], [(names[0], 1.0)], cat));
        Assert.Equal(names, _lora.AdapterNames);
    }

    /// <summary>
    /// What comes out without <see cref="CombineOptions.PeftCompatible"/> is the combination in float64, cut off where it has to be, and another adapter than PEFT's where PEFT counts a
    /// scale twice or leaves it at the root of the rank.
    /// </summary>
    public void RunRightly(JsonElement combination)
    {
        string id = combination.GetProperty("id").GetString()!;
        bool drawn = combination.TryGetProperty("statistical_only", out JsonElement only) && only.GetBoolean();
        // Clamped values have a test of their own.
        if (drawn || !combination.TryGetProperty("dir", out _) || combination.TryGetProperty("svd_clamp", out _)) return;
        CombineOptions options = Options(combination) with { PeftCompatible = false };
        if (options.Density == 0)
        {
            Assert.Contains("Density must be above 0", Assert.Throws<ArgumentException>(() => _lora.Combine(id, Weights(combination), options)).Message, StringComparison.Ordinal);
            return;
        }
        (string Name, double Weight)[] weights = Weights(combination);
        CombineResult result = _lora.Combine(id, weights, options);
        foreach (CombinedLayer layer in result.Layers)
        {
            using var scope = NewDisposeScope();
            ILoraLayer adapted = _lora.Layers.Single(l => l.Path == layer.Path).Layer;
            (LoraAdapter, double)[] sources = [.. weights.Where(weight => adapted.Adapters.Contains(weight.Name)).Select(weight => (adapted.Adapters[weight.Name], weight.Weight))];
            Tensor Whole(bool peft) => new NaiveCombination(options.Method.Name, options with { PeftCompatible = peft }).Delta(sources, adapted.Adapters[id].Rank);
            Tensor expected = options.Method.ChoosesRank ? NaiveCombination.Best(Whole(false), layer.Rank) : Whole(false);
            LoraAdapter blend = adapted.Adapters[id];
            Assert.Equal(1, blend.Scale);
            double difference = Adapted.Difference(expected, blend.B.flatten(1).matmul(blend.A.flatten(1)).cpu()), size = Math.Max(1, expected.abs().max().item<double>());
            Assert.True(difference < 1e-5 * size, $"{_golden.Name}, {id}: {layer.Path} differs by {difference:G4}.");
            Compared++;
            if (weights.Length > 1 && Adapted.Difference(Whole(false), Whole(true)) > 0.1)
                Assert.True(Adapted.Difference(Delta(adapted, blend).reshape(_golden.Read($"delta.{id}.{layer.Path}").shape), _golden.Read($"delta.{id}.{layer.Path}")) > 1e-3);
        }
        _lora.DeleteAdapter(id);
    }

    public void Dispose()
    {
        _lora.Dispose();
        _model.Dispose();
        _scope.Dispose();
        _folder.Dispose();
    }

    // Names in tuples, since the source adapters are not always in the list of the case.
    private IEnumerable<(string Name, string Folder)> Sources() => _golden.Json.TryGetProperty("adapters", out JsonElement adapters)
        ? adapters.EnumerateArray().Select(adapter => (adapter.GetProperty("name").GetString()!, adapter.GetProperty("dir").GetString()!))
        : [];

    private CombineResult Combine(JsonElement combination, string id) => _lora.Combine(id, Weights(combination), Options(combination));

    private static (string Name, double Weight)[] Weights(JsonElement combination) =>
    [
        .. combination.GetProperty("adapters").EnumerateArray().Select(name => name.GetString()!)
            .Zip(combination.GetProperty("weights").EnumerateArray().Select(weight => weight.GetDouble())),
    ];

    private static CombineOptions Options(JsonElement combination) => new()
    {
        Method = CombineMethod.All.Single(method => method.Name == combination.GetProperty("combination_type").GetString()),
        Density = combination.TryGetProperty("density", out JsonElement density) ? density.GetDouble() : null,
        MajoritySign = combination.TryGetProperty("majority_sign_method", out JsonElement sign) ? Enum.Parse<MajoritySign>(sign.GetString()!, ignoreCase: true) : MajoritySign.Total,
        Rank = combination.TryGetProperty("svd_rank", out JsonElement rank) ? rank.GetInt32() : null,
        ClampQuantile = combination.TryGetProperty("svd_clamp", out JsonElement clamp) ? clamp.GetDouble() : null,
        PeftCompatible = true,
    };

    private void AssertRefused(JsonElement combination, string id)
    {
        // What has a type of its own cannot be misspelt.
        if (CombineMethod.All.All(method => method.Name != combination.GetProperty("combination_type").GetString())) return;
        if (combination.TryGetProperty("majority_sign_method", out JsonElement sign) && !Enum.TryParse<MajoritySign>(sign.GetString(), ignoreCase: true, out _)) return;
        string message = Assert.Throws<ArgumentException>(() => Combine(combination, id)).Message;
        Assert.StartsWith($"The adapters cannot be combined into '{id}':\n  - ", message, StringComparison.Ordinal);
    }

    private void Compare(JsonElement combination, string id, string folder)
    {
        using var scope = NewDisposeScope();
        bool drawn = combination.TryGetProperty("statistical_only", out JsonElement only) && only.GetBoolean();
        _lora.SaveAdapter(id, _folder[id]);
        AssertSameConfig(PeftAdapterConfig.Load(Path.Combine(folder, PeftAdapterConfig.FileName)), PeftAdapterConfig.Load(Path.Combine(_folder[id], PeftAdapterConfig.FileName)));
        CompareFiles(Path.Combine(folder, AdapterFolder.WeightsName), Path.Combine(_folder[id], AdapterFolder.WeightsName), exact: !drawn && combination.GetProperty("comparable").GetString() == "A and B");

        if (drawn && !combination.GetProperty("comparable").ValueEquals("delta"))
        {
            AssertDropped(combination, Path.Combine(folder, AdapterFolder.WeightsName));
            AssertDropped(combination, Path.Combine(_folder[id], AdapterFolder.WeightsName));
        }

        AdapterLayer[] layers = [.. _lora.Layers.Where(layer => layer.Layer.Adapters.Contains(id))];
        JsonElement scales = combination.GetProperty("scaling");
        Assert.Equal(scales.EnumerateObject().Select(scale => scale.Name).Order(), layers.Select(layer => layer.Path).Order());
        foreach (AdapterLayer layer in layers)
        {
            Assert.Equal(scales.GetProperty(layer.Path).GetDouble(), layer.Layer.Adapters[id].Scale, 1e-9);
            if (!drawn) _golden.Compare($"delta.{id}.{layer.Path}", Delta(layer.Layer, layer.Layer.Adapters[id]).reshape(_golden.Read($"delta.{id}.{layer.Path}").shape), Tolerance("output"));
        }
        JsonElement run = _golden.Runs.Single(run => run.GetProperty("id").GetString() == $"combo_{id}");
        Tensor input = _golden.Read(run.GetProperty("inputs").EnumerateObject().Single().Value.GetString()!);
        using (_lora.Use(id))
        {
            Tensor output = _model.call(input);
            if (!drawn) _golden.Compare(run.GetProperty("output").GetString()!, output, Tolerance(run.GetProperty("tolerance").GetString()!));
        }
    }

    // In the layout of the base weight, from A and B alone.
    private static Tensor Delta(ILoraLayer layer, LoraAdapter adapter)
    {
        using var noGrad = no_grad();
        Tensor product = adapter.B.flatten(1).matmul(adapter.A.flatten(1)).mul(adapter.Scale);
        return layer is LoraLinear { IsTransposed: true } || adapter.FileTensors[0].Key.StartsWith("lora_embedding", StringComparison.Ordinal) ? product.t() : product;
    }

    private void CompareFiles(string expected, string actual, bool exact)
    {
        using SafetensorsFile theirs = SafetensorsFile.Open(expected), ours = SafetensorsFile.Open(actual);
        Assert.Equal(theirs.Entries.Select(Described).Order(), ours.Entries.Select(Described).Order());
        foreach (SafetensorsEntry entry in theirs.Entries)
        {
            Tensor value = ours.ReadTensor(entry.Name);
            Assert.True(value.isfinite().all().item<bool>());
            if (exact) AssertClose(entry.Name, theirs.ReadTensor(entry.Name), value);
        }
    }

    private void AssertClose(string name, Tensor expected, Tensor actual)
    {
        JsonElement tolerance = Tolerance("weight");
        Tensor excess = actual.sub(expected).abs().sub(expected.abs().mul(tolerance.GetProperty("rtol").GetDouble())).sub(tolerance.GetProperty("atol").GetDouble());
        Assert.True(excess.max().item<float>() <= 0, $"{_golden.Name}: {name} differs by up to {excess.max().item<float>():G4} beyond the tolerance.");
    }

    // A value is zero where every adapter of the layer dropped its own: a binomial number of them, within five standard deviations.
    private void AssertDropped(JsonElement combination, string file)
    {
        string[] names = [.. combination.GetProperty("adapters").EnumerateArray().Select(name => name.GetString()!)];
        double density = combination.GetProperty("density").GetDouble(), expected = 0, variance = 0, zeros = 0;
        using SafetensorsFile tensors = SafetensorsFile.Open(file);
        foreach (AdapterLayer layer in _lora.Layers.Where(layer => names.Any(layer.Layer.Adapters.Contains)))
        {
            double all = Math.Pow(1 - density, names.Count(layer.Layer.Adapters.Contains));
            foreach (SafetensorsEntry entry in tensors.Entries.Where(entry => entry.Name.StartsWith($"base_model.model.{layer.Path}.lora", StringComparison.Ordinal)))
            {
                Tensor values = tensors.ReadTensor(entry.Name);
                zeros += values.eq(0).sum().item<long>();
                expected += values.numel() * all;
                variance += values.numel() * all * (1 - all);
            }
        }
        Assert.InRange(zeros, expected - (5 * Math.Sqrt(variance)), expected + (5 * Math.Sqrt(variance)));
    }

    private static string Described(SafetensorsEntry entry) => $"{entry.Name} {entry.Type} [{string.Join(", ", entry.Shape)}]";

    private static void AssertSameConfig(PeftAdapterConfig expected, PeftAdapterConfig actual)
    {
        Assert.Equal(expected.Fields.Keys, actual.Fields.Keys);
        foreach ((string name, JsonElement value) in expected.Fields)
            Assert.True(PeftConfigFields.MeanTheSame(value, actual.Fields[name]), $"{name} is {actual.Fields[name]}, but {value} in PEFT's file.");
    }

    private JsonElement Tolerance(string name) => _golden.Json.GetProperty("tolerance").GetProperty(name);
}
