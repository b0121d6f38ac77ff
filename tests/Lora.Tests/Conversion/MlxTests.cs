using System.Text.Json;
using Lora.Conversion;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Conversion;

/// <summary>Adapters of mlx-lm: the same update there and back, by formulas in float64.</summary>
[Collection(Alone.Name)]
public sealed class MlxTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();
    private int _seed = 900;

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Reading()
    {
        Tensor a = Noise.Fill(empty(TestModels.In, 2), 1, 1), b = Noise.Fill(empty(2, TestModels.Middle), 2, 1), c = Noise.Fill(empty(TestModels.Middle, 3), 3, 1), d = Noise.Fill(empty(3, TestModels.Out), 4, 1);
        WriteMlx(new() { ["_first.lora_a"] = a, ["_first.lora_b"] = b, ["_second.lora_a"] = c, ["_second.lora_b"] = d }, """{"fine_tune_type": "lora", "num_layers": 4, "lora_parameters": {"rank": 2, "scale": 20.5, "dropout": 0.25}}""");
        MlxAdapter.ToPeft(_folder["mlx"], _folder["peft"]);
        AssertIs(LoraModel.Load(TwoModels.Base(), _folder["peft"]));
        AssertIs(LoraModel.Load(TwoModels.Base(), _folder["mlx"], loading: new LoadOptions { Format = AdapterFormat.Mlx }));

        void AssertIs(LoraModel<nn.Module<Tensor, Tensor>> loaded)
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = loaded;
            Assert.Empty(lora.LoadReport);
            foreach ((string path, Tensor down, Tensor up) in new[] { ("_first", a, b), ("_second", c, d) })
            {
                // As mlx-lm computes it: x → s·(x·a)·b.
                Tensor expected = down.to(ScalarType.Float64).matmul(up.to(ScalarType.Float64)).mul(20.5).t();
                Assert.InRange(Adapted.Difference(expected, TwoModels.Adapter(lora, path).ComputeDelta()), 0, 2e-5);
                Assert.Equal((20.5, 0.25), (TwoModels.Adapter(lora, path).Scale, TwoModels.Adapter(lora, path).Dropout));
            }
        }
    }

    [Fact]
    public void A_model_says_itself_which_layers_are_embeddings_and_what_paths_are_called()
    {
        nn.Module<Tensor, Tensor> model = TwoModels.Base(LayerKind.Embedding);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, LayerKind.Embedding.Config(model));
        lora.SaveAdapter("default", _folder["mlx"], AdapterFormat.Mlx);
        Tensor input = LayerKind.Embedding.Input(3, ScalarType.Float32);
        var loading = new LoadOptions { Format = AdapterFormat.Mlx };
        using (LoraModel<nn.Module<Tensor, Tensor>> back = LoraModel.Load(TwoModels.Base(LayerKind.Embedding), _folder["mlx"], loading: loading)) Adapted.AssertClose(model.call(input), back.Model.call(input));
        var renamed = loading with { RenamedPrefixes = new Dictionary<string, string> { [""] = "_inner" } };
        using LoraModel<NestedModel> nested = LoraModel.Load(new NestedModel((FieldModel)TwoModels.Base(LayerKind.Embedding)), _folder["mlx"], loading: renamed);
        Adapted.AssertClose(model.call(input), nested.Model.call(input));
    }

    [Fact]
    public void What_has_no_place_is_refused_when_a_model_is_saved_so()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field, LayerKind.Conv1d), LayerKind.Conv1d.Config(TestModels.Make(Holder.Field, LayerKind.Conv1d)));
        using LoraModel<nn.Module<Tensor, Tensor>> biased = Adapted.Wrap(TwoModels.Base(), Adapted.Config with { UseLoraBias = true });
        Assert.Equal(
            "Adapter 'default' cannot be saved in the form of mlx-lm:\n  - '_first' is a Conv1d adapted by a LoraConv, and there is a place for the adapters of linear layers and embeddings only\n"
            + "  - '_second' is a Conv1d adapted by a LoraConv, and there is a place for the adapters of linear layers and embeddings only\nSave it in PEFT's form, which carries everything.",
            Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x"], AdapterFormat.Mlx)).Message);
        Assert.Equal(
            "Adapter 'default' cannot be saved in the form of mlx-lm:\n  - '_first' has lora_B.bias, and there is no place for it\n  - '_second' has lora_B.bias, and there is no place for it\nSave it in PEFT's form, which carries everything.",
            Assert.Throws<InvalidOperationException>(() => biased.SaveAdapter("default", _folder["x"], AdapterFormat.Mlx)).Message);
        Assert.False(Directory.Exists(_folder["x"]));
    }

    [Fact]
    public void Embeddings_are_known_by_their_names_or_named()
    {
        WriteMlx(new() { ["embed_tokens.lora_a"] = Some(9, 2), ["embed_tokens.lora_b"] = Some(2, 4), ["x.table.lora_a"] = Some(8, 2), ["x.table.lora_b"] = Some(2, 3) }, """{"lora_parameters": {"rank": 2, "scale": 1.0}}""");
        MlxAdapter.ToPeft(_folder["mlx"], _folder["usual"]);
        MlxAdapter.ToPeft(_folder["mlx"], _folder["named"], ModuleSelector.EndsWith("table"));
        Assert.Equal(["embed_tokens.lora_embedding_A F32 [2, 9]", "embed_tokens.lora_embedding_B F32 [4, 2]", "x.table.lora_A.weight F32 [2, 8]", "x.table.lora_B.weight F32 [3, 2]"], Entries("usual"));
        Assert.Equal(["embed_tokens.lora_A.weight F32 [2, 9]", "embed_tokens.lora_B.weight F32 [4, 2]", "x.table.lora_embedding_A F32 [2, 8]", "x.table.lora_embedding_B F32 [3, 2]"], Entries("named"));
    }

    [Theory]
    [InlineData(Variant.Plain, ScalarType.Float32)]
    [InlineData(Variant.RankStabilized, ScalarType.Float32)]
    [InlineData(Variant.Patterns, ScalarType.Float32)]
    [InlineData(Variant.Patterns, ScalarType.BFloat16)]
    public void Writing_and_reading_again(Variant variant, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TwoModels.Base(type: type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, LayerKind.Linear.Config(model, variant), new WrapOptions { UpcastAdapters = false });
        lora.Save(_folder["a"]);
        MlxAdapter.FromPeft(_folder["a"], _folder["mlx"]);
        using JsonDocument config = JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder["mlx"], "adapter_config.json")));
        JsonElement parameters = config.RootElement.GetProperty("lora_parameters");
        (double scale, int rank) = (parameters.GetProperty("scale").GetDouble(), parameters.GetProperty("rank").GetInt32());
        Assert.Equal(("lora", -1), (config.RootElement.GetProperty("fine_tune_type").GetString(), config.RootElement.GetProperty("num_layers").GetInt32()));
        Assert.Equal(["_first", "_second"], parameters.GetProperty("keys").EnumerateArray().Select(key => key.GetString()));
        Assert.Equal(variant == Variant.Patterns ? (1.0, 4) : (TwoModels.Adapter(lora, "_first").Scale, 2), (scale, rank));
        using (SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder["mlx"], "adapters.safetensors")))
        {
            Assert.Equal("mlx", file.Metadata["format"]);
            foreach (AdapterLayer layer in lora.Layers)
            {
                Tensor a = file.ReadTensor(layer.Path + ".lora_a"), b = file.ReadTensor(layer.Path + ".lora_b");
                Assert.Equal((type, (long)rank, (long)rank), (a.dtype, a.shape[1], b.shape[0]));
                Tensor expected = layer.Layer.Adapter.ComputeDelta().to(ScalarType.Float64);
                double allowed = type == ScalarType.Float32 ? 1e-6 : 1e-2;
                Assert.InRange(TwoModels.Norm(a.to(ScalarType.Float64).matmul(b.to(ScalarType.Float64)).mul(scale).t().sub(expected)) / TwoModels.Norm(expected), 0, allowed);
            }
        }
        // Written from the model itself it is the same.
        lora.SaveAdapter("default", _folder["direct"], AdapterFormat.Mlx);
        foreach (string name in new[] { "adapters.safetensors", "adapter_config.json" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(_folder["mlx"], name)), File.ReadAllBytes(Path.Combine(_folder["direct"], name)));
        MlxAdapter.ToPeft(_folder["mlx"], _folder["back"]);
        using LoraModel<nn.Module<Tensor, Tensor>> back = LoraModel.Load(TwoModels.Base(type: type), _folder["back"], new WrapOptions { UpcastAdapters = false });
        Tensor input = TestModels.Input(type: type);
        Adapted.AssertRelativelyClose(model.call(input), back.Model.call(input));
    }

    [Fact]
    public void Keys_are_those_within_a_block()
    {
        Dictionary<string, Tensor> tensors = [];
        foreach (string path in new[] { "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "model.layers.1.mlp.up_proj", "lm_head" })
        {
            tensors.Add($"base_model.model.{path}.lora_A.weight", Some(2, 3));
            tensors.Add($"base_model.model.{path}.lora_B.weight", Some(4, 2));
        }
        WritePeft(tensors, new LoraConfig { Rank = 2, Alpha = 6, TargetModules = ModuleSelector.EndsWith("q_proj", "up_proj", "lm_head") });
        MlxAdapter.FromPeft(_folder["a"], _folder["mlx"]);
        Assert.Equal(
            "{\n  \"fine_tune_type\": \"lora\",\n  \"lora_parameters\": {\n    \"dropout\": 0,\n    \"keys\": [\n      \"lm_head\",\n      \"mlp.up_proj\",\n      \"self_attn.q_proj\"\n    ],\n    \"rank\": 2,\n    \"scale\": 3\n  },\n  \"num_layers\": -1\n}",
            File.ReadAllText(Path.Combine(_folder["mlx"], "adapter_config.json")));
    }

    [Fact]
    public void What_has_no_place_is_refused_when_writing()
    {
        WritePeft(
            new()
            {
                ["base_model.model.a.lora_A.weight"] = Some(2, 3, 1, 1),
                ["base_model.model.a.lora_B.weight"] = Some(4, 2),
                ["base_model.model.a.lora_B.bias"] = Some(4),
                ["base_model.model.norm.weight"] = Some(4),
                ["base_model.model.m.base_layer.out_proj.lora_A.weight"] = Some(2, 3),
                ["base_model.model.m.base_layer.out_proj.lora_B.weight"] = Some(3, 2),
            },
            new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("a", "m") });
        var thrown = Assert.Throws<InvalidOperationException>(() => MlxAdapter.FromPeft(_folder["a"], _folder["mlx"]));
        Assert.Equal(
            $"The adapter in '{_folder["a"]}' cannot be written in the form of mlx-lm:\n  - base_model.model.a.lora_A.weight has the shape [2, 3, 1, 1], and there is a place for matrices only\n"
            + "  - base_model.model.a.lora_B.bias is neither A nor B, and there is no place for it\n"
            + "  - base_model.model.m.base_layer.out_proj.lora_A.weight belongs to a weight inside another layer, and there is no place for it\n"
            + "  - base_model.model.m.base_layer.out_proj.lora_B.weight belongs to a weight inside another layer, and there is no place for it\n"
            + "  - base_model.model.norm.weight is no factor of a layer, and there is no place for it",
            thrown.Message);
        Assert.False(Directory.Exists(_folder["mlx"]));
        var same = Assert.Throws<ArgumentException>(() => MlxAdapter.FromPeft(_folder["a"], _folder["a"] + Path.DirectorySeparatorChar));
        Assert.StartsWith("The two forms have a file of one name, adapter_config.json:", same.Message);
    }

    [Fact]
    public void What_is_no_adapter_is_refused_when_reading()
    {
        WriteMlx(
            new()
            {
                ["a.lora_a"] = Some(3, 2),
                ["b.lora_a"] = Some(3, 2),
                ["b.lora_b"] = Some(3, 4),
                ["c.lora_a"] = Some(5, 2, 3),
                ["c.lora_b"] = Some(5, 4, 2),
                ["d.lora_a"] = Some(3, 2),
                ["d.lora_b"] = Some(2, 4),
                ["d.m"] = Some(4),
                ["e.weight"] = Some(2),
                ["lora_a"] = Some(2, 2),
            },
            """{"lora_parameters": {"rank": 2, "scale": 1.0}}""");
        var thrown = Assert.Throws<AdapterFormatException>(() => MlxAdapter.ToPeft(_folder["mlx"], _folder["peft"]));
        Assert.Equal(
            [
                "'a' has a.lora_a only: the other half of the pair is missing", "'b' has lora_a of the shape [3, 2] and lora_b of [3, 4], but [in, r] and [r, out] are needed",
                "'c' has a pair for each of 5 experts, which is not converted", "tensor d.m holds magnitudes of DoRA, which are not converted",
                "tensor lora_a belongs to no layer", "unexpected tensor e.weight: lora_a and lora_b are all that a layer has in this form",
            ],
            thrown.Problems.Order(StringComparer.Ordinal));
        WriteMlx(new() { ["a.lora_a"] = Some(3, 2) }, """{"fine_tune_type": "full", "lora_parameters": {"scale": "x", "dropout": 2}}""");
        thrown = Assert.Throws<AdapterFormatException>(() => MlxAdapter.ToPeft(_folder["mlx"], _folder["peft"]));
        Assert.Equal(
            ["fine_tune_type is \"full\", but only \"lora\" is converted: give the two models to LoraExtraction", "lora_parameters.scale is \"x\", but a number is needed", "lora_parameters.dropout is 2, but must be a probability from 0 to 1"],
            thrown.Problems);
        Directory.Delete(_folder["mlx"], recursive: true);
        Directory.CreateDirectory(_folder["mlx"]);
        Assert.Equal(["adapter_config.json: there is no such file.", "adapters.safetensors: there is no such file."], Assert.Throws<AdapterFormatException>(() => MlxAdapter.ToPeft(_folder["mlx"], _folder["peft"])).Problems);
        Assert.Throws<DirectoryNotFoundException>(() => MlxAdapter.ToPeft(_folder["none"], _folder["peft"]));
        Assert.False(Directory.Exists(_folder["peft"]));
    }

    [Fact]
    public void Nothing_stays_alive()
    {
        using (nn.Module<Tensor, Tensor> model = TwoModels.Base())
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, LayerKind.Linear.Config(model, Variant.Patterns))) lora.Save(_folder["a"]);
        Leaks.AssertNone(3, () =>
        {
            MlxAdapter.FromPeft(_folder["a"], _folder["mlx"]);
            MlxAdapter.ToPeft(_folder["mlx"], _folder["peft"]);
            using nn.Module<Tensor, Tensor> other = TwoModels.Base();
            using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(other, _folder["mlx"], loading: new LoadOptions { Format = AdapterFormat.Mlx });
            loaded.SaveAdapter("default", _folder["mlx2"], AdapterFormat.Mlx);
        });
    }

    private Tensor Some(params long[] shape) => Noise.Fill(empty(shape), _seed++, 1);

    private void WriteMlx(Dictionary<string, Tensor> tensors, string config)
    {
        Directory.CreateDirectory(_folder["mlx"]);
        SafetensorsWriter.Save(Path.Combine(_folder["mlx"], "adapters.safetensors"), tensors);
        File.WriteAllText(Path.Combine(_folder["mlx"], "adapter_config.json"), config);
    }

    private void WritePeft(Dictionary<string, Tensor> tensors, LoraConfig config) => AdapterFolder.Save(_folder["a"], PeftAdapterConfig.From(config), tensors);

    private string[] Entries(string folder)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder[folder], "adapter_model.safetensors"));
        return [.. file.Entries.Select(entry => entry.ToString()["base_model.model.".Length..]).Order(StringComparer.Ordinal)];
    }
}
