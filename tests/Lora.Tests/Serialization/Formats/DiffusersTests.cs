using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization.Formats;

/// <summary>Files of diffusers in its dialects, read and written.</summary>
public sealed class DiffusersTests : IDisposable
{
    private const string FileName = "pytorch_lora_weights.safetensors";
    private static readonly AdapterFormat _unet = AdapterFormat.Diffusers("unet");
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, Tensor> _tensors = [];
    private string? _metadata;

    public static TheoryData<string, string, string, string> OlderNames => new()
    {
        { "unet.attn1.processor.to_q_lora.down.weight", "unet.attn1.processor.to_q_lora.up.weight", "unet.attn1.processor.to_out_lora.down.weight", "unet.attn1.processor.to_out_lora.up.weight" },
        { "unet.attn1.to_q.lora.down.weight", "unet.attn1.to_q.lora.up.weight", "unet.attn1.to_out.0.lora.down.weight", "unet.attn1.to_out.0.lora.up.weight" },
        { "unet.attn1.to_q.lora_linear_layer.down.weight", "unet.attn1.to_q.lora_linear_layer.up.weight", "unet.attn1.processor.to_out.0.lora.down.weight", "unet.attn1.to_out_lora.up.weight" },
    };

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(OlderNames))]
    public void The_older_dialects_have_the_rank_for_an_alpha(string firstDown, string firstUp, string secondDown, string secondUp)
    {
        Tensor first = Put(firstUp, [5, 3]).matmul(Put(firstDown, [3, 7])), second = Put(secondUp, [4, 2]).matmul(Put(secondDown, [2, 5]));
        Sequential model = Attention("to_q", "to_out");
        Tensor x = TestModels.Input();
        Tensor expected = Chain(x, first, second);
        using LoraModel<Sequential> lora = Load(model);
        Assert.Empty(lora.LoadReport);
        Assert.Equal(["attn1.to_q", "attn1.to_out.0"], lora.Layers.Select(layer => layer.Path));
        Adapted.AssertClose(expected, model.call(x));
    }

    [Fact]
    public void A_text_encoder_has_other_names_for_the_same()
    {
        Tensor first = Put("text_encoder.attn1.to_q_lora.up.weight", [5, 3]).matmul(Put("text_encoder.attn1.to_q_lora.down.weight", [3, 7]));
        Tensor second = Put("text_encoder.attn1.out_proj.lora_linear_layer.up.weight", [4, 2]).matmul(Put("text_encoder.attn1.out_proj.lora_linear_layer.down.weight", [2, 5]));
        Sequential model = nn.Sequential(("attn1", nn.Sequential(("q_proj", First), ("tanh", nn.Tanh()), ("out_proj", Second))));
        Tensor x = TestModels.Input();
        Tensor expected = Chain(x, first, second);
        using LoraModel<Sequential> lora = Load(model, AdapterFormat.Diffusers("text_encoder."));
        Adapted.AssertClose(expected, model.call(x));
    }

    [Fact]
    public void Alphas_beside_the_tensors_count()
    {
        Tensor first = Put("unet.attn1.to_q.lora_B.weight", [5, 3]).matmul(Put("unet.attn1.to_q.lora_A.weight", [3, 7])).mul(1.5 / 3);
        _tensors["unet.attn1.to_q.alpha"] = tensor(1.5f);
        Sequential model = Attention("to_q", "to_out");
        Tensor x = TestModels.Input();
        Tensor expected = Chain(x, first, null);
        using LoraModel<Sequential> lora = Load(model);
        Adapted.AssertClose(expected, model.call(x));
    }

    [Theory]
    [InlineData("unet", "unet.")]
    [InlineData("", "")]
    public void The_settings_in_the_remarks_count(string prefix, string start)
    {
        Tensor first = Put($"{start}attn1.to_q.lora_B.weight", [5, 3]).matmul(Put($"{start}attn1.to_q.lora_A.weight", [3, 7])).mul(5 / Math.Sqrt(3));
        Tensor second = Put($"{start}attn1.to_out.0.lora_B.weight", [4, 2]).matmul(Put($"{start}attn1.to_out.0.lora_A.weight", [2, 5])).mul(7 / Math.Sqrt(2));
        _metadata = $$$"""
            {"{{{start}}}r": 3, "{{{start}}}lora_alpha": 5, "{{{start}}}rank_pattern": {"to_out.0": 2}, "{{{start}}}alpha_pattern": {"to_out.0": 7}, "{{{start}}}use_rslora": true,
             "{{{start}}}target_modules": ["to_q", "to_out.0"], "{{{start}}}peft_type": "LORA", "{{{start}}}inference_mode": false, "text_encoder.r": 77}
            """;
        Sequential model = Attention("to_q", "to_out");
        Tensor x = TestModels.Input();
        Tensor expected = Chain(x, first, second);
        using LoraModel<Sequential> lora = Load(model, AdapterFormat.Diffusers(prefix));
        Assert.Empty(lora.LoadReport);
        Assert.Equal(ModuleSelector.EndsWith("to_q", "to_out.0"), lora.ConfigOf("default").TargetModules);
        Adapted.AssertClose(expected, model.call(x));
    }

    [Fact]
    public void What_the_settings_do_not_say_the_tensors_do()
    {
        Tensor first = Put("unet.attn1.to_q.lora_B.weight", [5, 3]).matmul(Put("unet.attn1.to_q.lora_A.weight", [3, 7])).mul(5.0 / 3);
        Tensor second = Put("unet.attn1.to_out.0.lora_B.weight", [4, 2]).matmul(Put("unet.attn1.to_out.0.lora_A.weight", [2, 5])).mul(5.0 / 2);
        _metadata = """{"unet.lora_alpha": 5, "unet.future": 1}""";
        Sequential model = Attention("to_q", "to_out");
        Tensor x = TestModels.Input();
        Tensor expected = Chain(x, first, second);
        using LoraModel<Sequential> lora = Load(model);
        Assert.Equal(["future is unknown to this version and has no effect."], lora.LoadReport);
        Adapted.AssertClose(expected, model.call(x));
    }

    [Theory]
    [InlineData(LayerKind.Linear)]
    [InlineData(LayerKind.Transposed)]
    [InlineData(LayerKind.Conv1d)]
    [InlineData(LayerKind.Conv2dRectangular)]
    [InlineData(LayerKind.Conv2dDilated)]
    [InlineData(LayerKind.Conv2dGrouped)]
    [InlineData(LayerKind.Conv3d)]
    public void An_adapter_of_ours_comes_back(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Nested, kind);
        LoraConfig config = kind.Config(model) with { UseLoraBias = true, UseRankStabilizedScaling = true, RankPattern = new Dictionary<string, int> { ["_first"] = 4 }, Dropout = 0.25 };
        Tensor expected, x = kind.Input(3, ScalarType.Float32);
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, config))
        {
            model.eval();
            expected = model.call(x);
            lora.SaveAdapter("default", _folder["new/folder"], _unet);
        }
        foreach (string path in new[] { _folder["new/folder"], _folder[$"new/folder/{FileName}"] })
        {
            using var loaded = LoraModel.Load(model, path, loading: new LoadOptions { Format = _unet });
            Assert.Empty(loaded.LoadReport);
            Assert.Equal(0.25, loaded.Config.Dropout);
            Adapted.AssertSame(expected, model.call(x));
        }
    }

    [Fact]
    public void Names_and_settings_are_written_as_diffusers_does()
    {
        using (LoraModel<Sequential> lora = Adapted.Wrap(Attention("to_q", "to_out"), Adapted.Config with { TargetModules = ModuleSelector.EndsWith("to_q", "to_out.0"), AlphaPattern = new Dictionary<string, double> { ["to_q"] = 1.5 } }))
            lora.SaveAdapter("default", _folder.Path, AdapterFormat.Diffusers("transformer"));
        using SafetensorsFile file = SafetensorsFile.Open(_folder[FileName]);
        Assert.Equal(
            [
                "transformer.attn1.to_out.0.lora_A.weight F32 [2, 5]",
                "transformer.attn1.to_out.0.lora_B.weight F32 [4, 2]",
                "transformer.attn1.to_q.lora_A.weight F32 [2, 7]",
                "transformer.attn1.to_q.lora_B.weight F32 [5, 2]",
            ],
            file.Entries.Select(entry => entry.ToString()));
        Assert.Equal(["format", "lora_adapter_metadata"], file.Metadata.Keys.Order());
        Assert.Equal(
            """
            {
              "transformer.alpha_pattern": {
                "to_q": 1.5
              },
              "transformer.bias": "none",
              "transformer.lora_alpha": 5,
              "transformer.lora_dropout": 0.0,
              "transformer.peft_type": "LORA",
              "transformer.r": 2,
              "transformer.rank_pattern": {},
              "transformer.target_modules": [
                "to_q",
                "to_out.0"
              ],
              "transformer.use_rslora": false
            }
            """,
            file.Metadata["lora_adapter_metadata"], ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Everything_that_belongs_nowhere_is_named()
    {
        Put("unet.attn1.to_q.lora_A.weight", [3, 7]);
        Put("unet.attn1.to_v.lora_A.weight", [3, 7]);
        Put("unet.attn1.to_v.lora_B.weight", [3, 7]);
        Put("unet.attn1.processor.to_k_lora.up.weight", [3, 7]);
        Put("unet.attn1.to_q.lora_magnitude_vector", [5]);
        Put("unet.attn1.to_q.weight", [5, 7]);
        Put("vae.x.lora_A.weight", [5, 7]);
        Put("text_encoder.x.lora_A.weight", [5, 7]);
        Assert.Equal(
            [
                "'attn1.to_q' has unet.attn1.to_q.lora_A.weight only: the up-projection is missing",
                "unexpected tensor unet.attn1.processor.to_k_lora.up.weight: the model has no module 'attn1.processor.to_k' or 'attn1.processor.k_proj' or 'attn1.to_k' or 'attn1.k_proj'",
                "unexpected tensor unet.attn1.to_q.lora_magnitude_vector: it is the magnitudes of DoRA, which this version does not read from here",
                "unexpected tensor unet.attn1.to_q.weight: it is none of a low-rank pair",
                "unexpected tensor unet.attn1.to_v.lora_A.weight: the model has no module 'attn1.to_v'; did you mean attn1.to_q, attn1.tanh, attn1.to_out?",
                "unexpected tensor vae.x.lora_A.weight: it begins with none of the prefixes unet., text_encoder.",
            ],
            Assert.Throws<AdapterFormatException>(() => Load(Attention("to_q", "to_out"), AdapterFormat.Diffusers("unet", ["text_encoder"]))).Problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Other_models_tensors_are_passed_over_where_that_is_said()
    {
        Put("unet.attn1.to_q.lora_A.weight", [3, 7]);
        Put("unet.attn1.to_q.lora_B.weight", [5, 3]);
        Put("text_encoder.x.lora_A.weight", [5, 7]);
        using LoraModel<Sequential> lora = Load(Attention("to_q", "to_out"), AdapterFormat.Diffusers("unet", ["text_encoder"]));
        Assert.Equal(["tensors for other models (text_encoder.) were passed over: 1"], lora.LoadReport);
        Assert.Equal(
            ["no tensor begins with transformer.; the file has text_encoder.x.lora_A.weight, unet.attn1.to_q.lora_A.weight, unet.attn1.to_q.lora_B.weight"],
            Assert.Throws<AdapterFormatException>(() => Load(Attention("to_q", "to_out"), AdapterFormat.Diffusers("transformer", ["text_encoder", "unet"]))).Problems);
    }

    [Fact]
    public void Settings_must_be_this_models_and_the_only_ones()
    {
        Put("unet.attn1.to_q.lora_A.weight", [3, 7]);
        Put("unet.attn1.to_q.lora_B.weight", [5, 3]);
        _metadata = """{"transformer.r": 3}""";
        Assert.Equal(["lora_adapter_metadata has no settings that begin with unet."], Assert.Throws<AdapterFormatException>(() => Load(Attention("to_q", "to_out"))).Problems);
        _metadata = """{"unet.r": 3}""";
        _tensors["unet.attn1.to_q.alpha"] = tensor(1.5f);
        Assert.Equal(
            ["there are settings in lora_adapter_metadata and alphas beside the tensors, which may differ: remove either"],
            Assert.Throws<AdapterFormatException>(() => Load(Attention("to_q", "to_out"))).Problems);
        _tensors.Remove("unet.attn1.to_q.alpha");
        _metadata = """{"unet.r": 3, "unet.use_dora": true}""";
        Assert.Equal(
            ["use_dora is true, which asks for the magnitudes of DoRA, which this version does not read from here"],
            Assert.Throws<AdapterFormatException>(() => Load(Attention("to_q", "to_out"))).Problems);
        _metadata = "[]";
        Assert.Equal(["it must hold a JSON object."], Assert.Throws<AdapterFormatException>(() => Load(Attention("to_q", "to_out"))).Problems);
    }

    [Fact]
    public void Prefixes_are_renamed()
    {
        Put("unet.block.attn1.to_q.lora_A.weight", [3, 7]);
        Put("unet.block.attn1.to_q.lora_B.weight", [5, 3]);
        Write();
        var loading = new LoadOptions { Format = _unet, RenamedPrefixes = new Dictionary<string, string> { ["block"] = "" } };
        using var lora = LoraModel.Load(Attention("to_q", "to_out"), _folder.Path, loading: loading);
        Assert.Equal("attn1.to_q", lora.Layers.Single().Path);
        lora.Dispose();
        loading = loading with { RenamedPrefixes = new Dictionary<string, string> { ["blok"] = "" } };
        Assert.Contains(
            "RenamedPrefixes has 'blok', from which no tensor takes its new name; the file has block.attn1.to_q.lora_A.weight, block.attn1.to_q.lora_B.weight",
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(Attention("to_q", "to_out"), _folder.Path, loading: loading)).Problems);
    }

    [Fact]
    public void What_the_form_cannot_carry_is_refused_by_name()
    {
        FieldModel model = new(LayerKind.Embedding.Make(7, 5), LayerKind.Linear.Make(5, 3));
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["_second"] });
        Assert.Equal(
            """
            Adapter 'default' cannot be saved in the form of diffusers:
              - modules_to_save is set, and there is no place for what it trains
              - '_first' is a Embedding adapted by a LoraEmbedding, and there is a place for the adapters of linear layers and convolutions only
            Save it in PEFT's form, which carries everything.
            """,
            Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x"], _unet)).Message, ignoreLineEndingDifferences: true);
        Assert.False(Directory.Exists(_folder["x"]));
    }

    private static nn.Module<Tensor, Tensor> First => LayerKind.Linear.Make(7, 5, seed: 10);

    private static nn.Module<Tensor, Tensor> Second => LayerKind.Linear.Make(5, 4, seed: 20);

    private static Sequential Attention(string query, string output) => nn.Sequential(("attn1", nn.Sequential((query, First), ("tanh", nn.Tanh()), (output, nn.Sequential(("0", Second))))));

    private static Tensor Chain(Tensor x, Tensor first, Tensor? second)
    {
        using var noGrad = no_grad();
        Tensor hidden = First.call(x).add(x.matmul(first.t())).tanh();
        return second is null ? Second.call(hidden) : Second.call(hidden).add(hidden.matmul(second.t()));
    }

    private LoraModel<Sequential> Load(Sequential model, AdapterFormat? format = null)
    {
        Write();
        return LoraModel.Load(model, _folder.Path, loading: new LoadOptions { Format = format ?? _unet });
    }

    private void Write() => SafetensorsWriter.Save(
        _folder[FileName], _tensors, _metadata is null ? null : new Dictionary<string, string> { ["format"] = "pt", ["lora_adapter_metadata"] = _metadata });

    private Tensor Put(string name, long[] shape) => _tensors[name] = Noise.Fill(empty(shape, device: TestDevice.Current), seed: 60 + _tensors.Count, range: 0.5);
}
