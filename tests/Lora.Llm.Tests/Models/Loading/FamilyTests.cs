using System.Text.Json.Nodes;
using Lora.Serialization;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Loading;

/// <summary>Every family's own folder, by its own class and by <see cref="AutoModel"/>.</summary>
public sealed class FamilyTests
{
    [Theory]
    [InlineData("llama", typeof(LlamaModel))]
    [InlineData("mistral", typeof(MistralModel))]
    [InlineData("qwen2", typeof(Qwen2Model))]
    [InlineData("qwen3", typeof(Qwen3Model))]
    public void A_folder_gives_the_model_of_its_type(string type, Type wanted)
    {
        using DecoderModel model = Make(type);
        using var folder = new ModelFolder();
        folder.Write(json => json["model_type"] = type, TinyLlama.Config with { NormEpsilon = model.Shape.NormEpsilon, RopeTheta = model.Shape.RopeTheta });
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        SafetensorsWriter.Save(folder.Weights, model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach()));
        using CausalLanguageModel loaded = AutoModel.FromPretrained(folder.Path, new PretrainedOptions { Device = TestDevice.Current });
        Assert.IsType(wanted, loaded);
        Assert.Equal(type, loaded.ModelFamily);
        Assert.False(loaded.training);
        Assert.Equal(TinyLlama.Values(model.call(TinyLlama.Ids(2, 5))), TinyLlama.Values(loaded.call(TinyLlama.Ids(2, 5))));
        using (Tensor logits = loaded.to(ScalarType.Float64).call(TinyLlama.Ids(2, 5))) Assert.Equal(ScalarType.Float64, logits.dtype);
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(loaded, new LoraConfig { Rank = 2, Alpha = 3 });
        Assert.Equal(
            ["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"],
            lora.Layers.Select(layer => layer.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void An_unknown_type_is_told_what_is_supported()
    {
        using var folder = new ModelFolder();
        File.WriteAllText(folder.Config, """{"model_type": "gpt2", "n_embd": 768}""");
        Assert.Equal($"{folder.Config}: model_type is \"gpt2\", but this version supports \"llama\", \"mistral\", \"qwen2\" and \"qwen3\".", Error(() => AutoModel.FromPretrained(folder.Path)));
        File.WriteAllText(folder.Config, "{}");
        Assert.Equal($"{folder.Config}: model_type is missing; this version supports \"llama\", \"mistral\", \"qwen2\" and \"qwen3\".", Error(() => AutoModel.FromPretrained(folder.Path)));
        Assert.Equal("There is no model folder 'no/such/folder'.", Assert.Throws<DirectoryNotFoundException>(() => AutoModel.FromPretrained("no/such/folder")).Message);
    }

    [Fact]
    public void Another_supported_type_is_sent_to_AutoModel()
    {
        using var folder = new ModelFolder();
        folder.Write(json => json["model_type"] = "qwen2");
        Assert.Equal($"{folder.Config}: model_type is \"qwen2\", but \"llama\" was asked for: AutoModel loads either.", Error(() => LlamaModel.FromPretrained(folder.Path)));
    }

    [Theory]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    public void Sliding_windows_of_some_layers_are_refused(string type)
    {
        using var folder = new ModelFolder();
        folder.Write(json =>
        {
            json["model_type"] = type;
            json["use_sliding_window"] = true;
            json["layer_types"] = new JsonArray("full_attention", "sliding_attention");
        });
        var error = Assert.Throws<AdapterFormatException>(() => AutoModel.FromPretrained(folder.Path));
        Assert.Equal(
            [
                "use_sliding_window is true, but this version supports full attention alone for this family.",
                "layer_types has \"sliding_attention\", but this version supports \"full_attention\" alone for this family.",
            ],
            error.Problems);
        folder.Write(json => (json["model_type"], json["layer_types"]) = (type, new JsonArray(1)));
        Assert.Equal($"{folder.Config}: layer_types must be a list of texts, but is [1].", Error(() => AutoModel.FromPretrained(folder.Path)));
    }

    [Theory]
    [InlineData("", 4096)]
    [InlineData("null", null)]
    [InlineData("7", 7)]
    public void A_window_may_be_left_out_or_null(string text, int? wanted)
    {
        using var folder = new ModelFolder();
        folder.Write(json =>
        {
            json["model_type"] = "mistral";
            if (text.Length > 0) json["sliding_window"] = JsonNode.Parse(text);
        });
        Assert.Equal(wanted, MistralConfig.FromFile(folder.Config).SlidingWindow);
    }

    [Fact]
    public void What_files_leave_out_has_the_defaults_of_the_family()
    {
        using var folder = new ModelFolder();
        Write("mistral");
        MistralConfig mistral = MistralConfig.FromFile(folder.Config);
        Assert.Equal((8, 2, 131072), (mistral.KeyValueHeads, mistral.HeadDimension, mistral.MaxPositions));
        Write("qwen2");
        Qwen2Config two = Qwen2Config.FromFile(folder.Config);
        Assert.Equal((32, 2, 32768), (two.KeyValueHeads, two.HeadDimension, two.MaxPositions));
        Write("qwen3");
        Qwen3Config three = Qwen3Config.FromFile(folder.Config);
        Assert.Equal((32, 128, 32768, false), (three.KeyValueHeads, three.HeadDimension, three.MaxPositions, three.AttentionBias));

        void Write(string type) => folder.Write(json =>
        {
            foreach (string name in new[] { "num_key_value_heads", "head_dim", "max_position_embeddings" }) json.Remove(name);
            (json["model_type"], json["num_attention_heads"], json["hidden_size"]) = (type, 32, 64);
        });
    }

    [Fact]
    public void A_window_made_by_hand_is_checked() => Assert.Equal(
        "There is no such Mistral:\n  - SlidingWindow must be at least 1, or null for none, but is 0.",
        Assert.Throws<ArgumentException>(() => TinyDecoders.Mistral(0)).Message);

    private static DecoderModel Make(string type) => type switch
    {
        "mistral" => TinyDecoders.Mistral(null, ScalarType.Float32),
        "qwen2" => TinyDecoders.Qwen2(ScalarType.Float32),
        "qwen3" => TinyDecoders.Qwen3(ScalarType.Float32),
        _ => TinyLlama.Make(),
    };

    private static string Error(Func<CausalLanguageModel> load) => Assert.Throws<AdapterFormatException>(() => load().Dispose()).Message;
}
