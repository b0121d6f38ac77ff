using System.Text.Json.Nodes;
using Lora.Llm.Blocks;
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
        File.WriteAllText(folder.Config, """{"model_type": "gptj", "n_embd": 768}""");
        Assert.Equal($"{folder.Config}: model_type is \"gptj\", but this version supports \"gemma2\", \"gemma3_text\", \"gpt2\", \"llama\", \"mistral\", \"phi3\", \"qwen2\" and \"qwen3\".", Error(() => AutoModel.FromPretrained(folder.Path)));
        File.WriteAllText(folder.Config, "{}");
        Assert.Equal($"{folder.Config}: model_type is missing; this version supports \"gemma2\", \"gemma3_text\", \"gpt2\", \"llama\", \"mistral\", \"phi3\", \"qwen2\" and \"qwen3\".", Error(() => AutoModel.FromPretrained(folder.Path)));
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
    [InlineData("qwen2", """{"use_sliding_window": true, "sliding_window": 3, "layer_types": ["full_attention", "sliding_attention"]}""", 3, "Full Sliding")]
    [InlineData("qwen3", """{"use_sliding_window": true, "sliding_window": 3, "max_window_layers": 1}""", 3, "Full Sliding")]
    [InlineData("qwen2", """{"use_sliding_window": true, "max_window_layers": 0}""", 4096, "Sliding Sliding")]
    [InlineData("qwen3", """{"use_sliding_window": true}""", 4096, "Full Full")]
    [InlineData("qwen2", """{"use_sliding_window": false, "sliding_window": 3, "max_window_layers": 0}""", null, "")]
    [InlineData("qwen2", """{"use_sliding_window": true, "sliding_window": null, "max_window_layers": 0}""", null, "")]
    public void Qwen_has_sliding_windows_where_its_file_says_so(string type, string fields, int? window, string types)
    {
        using var folder = new ModelFolder();
        folder.Write(json => Set(json, type, fields));
        WindowedDecoderConfig config = type == "qwen2" ? Qwen2Config.FromFile(folder.Config) : Qwen3Config.FromFile(folder.Config);
        Assert.Equal(window, config.SlidingWindow);
        Assert.Equal(types, string.Join(' ', config.LayerTypes ?? []));
        Assert.Equal(types.Split(' ').Select(t => t == "Sliding" ? window : null), Enumerable.Range(0, types.Length == 0 ? 1 : 2).Select(layer => config.ReachOf(layer).Window));
    }

    [Theory]
    [InlineData("qwen2", """{"layer_types": ["full_attention", "sliding_attention"]}""", "layer_types has \"sliding_attention\", but use_sliding_window is false or sliding_window is null.")]
    [InlineData("qwen3", """{"layer_types": ["full_attention"]}""", "layer_types has 1 entries, but num_hidden_layers is 2.")]
    [InlineData("gemma2", """{"layer_types": ["full_attention", "chunked_attention"]}""", "layer_types has \"chunked_attention\", but this version supports \"full_attention\" and \"sliding_attention\".")]
    [InlineData("gemma2", """{"layer_types": [1]}""", "layer_types must be a list of texts, but is [1].")]
    [InlineData("gemma2", """{"sliding_window": null}""", "sliding_window is null, but some layers have \"sliding_attention\".")]
    [InlineData("gemma2", """{"sliding_window": 0}""", "sliding_window must be a positive integer, but is 0.")]
    [InlineData("gemma2", """{"hidden_activation": "silu"}""", "hidden_activation is \"silu\", but a Gemma 2 has \"gelu_pytorch_tanh\".")]
    [InlineData("gemma2", """{"use_bidirectional_attention": true}""", "use_bidirectional_attention is true, but this version supports causal attention alone.")]
    [InlineData("gemma2", """{"final_logit_softcapping": -1}""", "final_logit_softcapping must be a positive number, but is -1.")]
    [InlineData("gemma2", """{"num_key_value_heads": 4}""", "num_attention_heads (6) is no multiple of num_key_value_heads (4).")]
    [InlineData("gemma3_text", """{"attn_logit_softcapping": 50}""", "attn_logit_softcapping is given, but the attention of a Gemma 3 has no cap (null).")]
    [InlineData("gemma3_text", """{"rope_parameters": {"sliding_attention": {"rope_type": "yarn"}}}""", "rope_type is \"yarn\", but this version supports \"default\", \"linear\" and \"llama3\".")]
    [InlineData("phi3", """{"resid_pdrop": 1}""", "resid_pdrop must be a number from 0 to below 1, but is 1.")]
    [InlineData("phi3", """{"partial_rotary_factor": 0.75}""", "partial_rotary_factor is 0.75, which leaves no even number of a head's 4 components to turn.")]
    [InlineData("phi3", """{"rope_parameters": {"rope_type": "linear", "factor": 2}}""", "rope_type is \"linear\", but a Phi-3 has \"default\" or \"longrope\".")]
    [InlineData("phi3", """{"rope_parameters": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1, 2]}}""", "short_factor has 1 numbers, but 2 pairs of components are turned.")]
    [InlineData("phi3", """{"rope_parameters": {"rope_type": "longrope", "short_factor": [1, 2]}}""", "rope_parameters.long_factor is missing.")]
    [InlineData("llama", """{"attention_dropout": 1.5}""", "attention_dropout must be a number from 0 to below 1, but is 1.5.")]
    public void What_contradicts_itself_is_told(string type, string fields, string problem)
    {
        using var folder = new ModelFolder();
        folder.Write(json => Set(json, type, fields));
        Assert.Equal($"{folder.Config}: {problem}", Error(() => AutoModel.FromPretrained(folder.Path)));
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

    // As transformers' configuration_*.py say it.
    [Theory]
    [InlineData("llama", 6, 4, 2048, 1e-6, false, 1, new[] { 2 }, null, null, 10000)]
    [InlineData("mistral", 8, 4, 131072, 1e-6, false, 1, new[] { 2 }, null, 4096, 10000)]
    [InlineData("qwen2", 32, 4, 32768, 1e-6, false, null, new int[0], null, null, 10000)]
    [InlineData("qwen3", 32, 128, 32768, 1e-6, false, null, new int[0], null, null, 10000)]
    [InlineData("gemma2", 4, 256, 8192, 1e-6, true, 2, new[] { 1 }, 0, 4096, 10000)]
    [InlineData("gemma3_text", 4, 256, 131072, 1e-6, true, 2, new[] { 1 }, 0, 4096, 1000000)]
    [InlineData("phi3", 6, 4, 4096, 1e-5, false, 1, new[] { 32000 }, 32000, null, 10000)]
    public void Every_field_but_the_sizes_has_the_default_of_its_family(
        string type, int keyValueHeads, int headDimension, int positions, double epsilon, bool tied, int? begin, int[] ends, int? pad, int? window, double theta)
    {
        using var folder = new ModelFolder();
        int heads = type == "llama" || type == "phi3" ? 6 : 32;
        File.WriteAllText(folder.Config, $$"""{"model_type": "{{type}}", "vocab_size": 37, "hidden_size": {{heads * 4}}, "intermediate_size": 27, "num_hidden_layers": 12, "num_attention_heads": {{heads}}}""");
        DecoderConfig config = type switch
        {
            "llama" => LlamaConfig.FromFile(folder.Config),
            "mistral" => MistralConfig.FromFile(folder.Config),
            "qwen2" => Qwen2Config.FromFile(folder.Config),
            "qwen3" => Qwen3Config.FromFile(folder.Config),
            "gemma2" => Gemma2Config.FromFile(folder.Config),
            "gemma3_text" => Gemma3Config.FromFile(folder.Config),
            _ => Phi3Config.FromFile(folder.Config),
        };
        Assert.Equal(
            (keyValueHeads, headDimension, positions, epsilon, tied, begin, pad, window, theta),
            (config.KeyValueHeads, config.HeadDimension, config.MaxPositions, config.NormEpsilon, config.TieEmbeddings, config.BeginTokenId, config.PadTokenId, config.ReachOf(0).Window, config.RopeTheta));
        Assert.Equal(ends, config.EndTokenIds);
        Assert.Equal(0, config.AttentionDropout);
        if (config is GemmaConfig gemma) Assert.Equal(256, gemma.QueryPreAttentionScalar);
        if (config is Gemma2Config two) Assert.Equal((50, 30), (two.AttentionSoftCap, two.LogitSoftCap));
        if (config is Gemma2Config) Assert.Equal([4096, null, 4096], Enumerable.Range(0, 3).Select(layer => config.ReachOf(layer).Window));
        if (config is Gemma3Config three)
        {
            Assert.Null(three.LogitSoftCap);
            Assert.Equal(Enumerable.Range(0, 12).Select(layer => layer is 5 or 11 ? new LayerReach(null, new DefaultRope(1000000)) : new LayerReach(4096, new DefaultRope(10000))), Enumerable.Range(0, 12).Select(three.ReachOf));
        }
    }

    [Fact]
    public void Gemma_3_is_read_in_the_spelling_of_transformers_4()
    {
        using var folder = new ModelFolder();
        folder.Write(json =>
        {
            json.Remove("rope_parameters");
            Set(json, "gemma3_text", """{"rope_theta": 7, "rope_local_base_freq": 5, "rope_scaling": {"rope_type": "linear", "factor": 8}, "sliding_window_pattern": 2, "sliding_window": 3}""");
        });
        Gemma3Config config = Gemma3Config.FromFile(folder.Config);
        Assert.Equal([new LayerReach(3, new DefaultRope(5)), new LayerReach(null, new LinearRope(7, 8))], Enumerable.Range(0, 2).Select(config.ReachOf));
    }

    private static void Set(JsonObject json, string type, string fields)
    {
        json["model_type"] = type;
        foreach ((string name, JsonNode? value) in JsonNode.Parse(fields)!.AsObject()) json[name] = value?.DeepClone();
    }

    private static DecoderModel Make(string type) => type switch
    {
        "mistral" => TinyDecoders.Mistral(null, ScalarType.Float32),
        "qwen2" => TinyDecoders.Qwen2(ScalarType.Float32),
        "qwen3" => TinyDecoders.Qwen3(ScalarType.Float32),
        _ => TinyLlama.Make(),
    };

    private static string Error(Func<CausalLanguageModel> load) => Assert.Throws<AdapterFormatException>(() => load().Dispose()).Message;
}
