using System.Text.Json.Nodes;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Loading;

/// <summary>Each folder that is no Llama's is refused with a text that says which file, what was found and what was wanted.</summary>
public sealed class BadFolderTests
{
    [Fact]
    public void No_folder()
    {
        var error = Assert.Throws<DirectoryNotFoundException>(() => LlamaModel.FromPretrained("no/such/folder"));
        Assert.Equal("There is no model folder 'no/such/folder'.", error.Message);
    }

    [Fact]
    public void No_configuration()
    {
        using var folder = new ModelFolder();
        var error = Assert.Throws<FileNotFoundException>(() => LlamaModel.FromPretrained(folder.Path));
        Assert.Equal($"There is no '{folder.Config}': a model's folder holds config.json beside its weights.", error.Message);
    }

    [Theory]
    [InlineData("", "not valid JSON: ")]
    [InlineData("{\"model_type\": ", "not valid JSON: ")]
    [InlineData("[1, 2]", "it must hold a JSON object.")]
    [InlineData("{\"model_type\": \"\\ud800\"}", "not valid JSON: the text at byte 15 holds an unpaired surrogate.")]
    public void A_configuration_that_is_no_object(string text, string problem)
    {
        using var folder = new ModelFolder();
        File.WriteAllText(folder.Config, text);
        var error = Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path));
        Assert.StartsWith($"{folder.Config}: {problem}", error.Message, StringComparison.Ordinal);
        Assert.Equal(folder.Config, error.Path);
    }

    [Fact]
    public void A_byte_order_mark_is_passed_over()
    {
        using var folder = new ModelFolder();
        File.WriteAllText(folder.Config, ModelFolder.ConfigOf(TinyLlama.Config).ToJsonString(), new System.Text.UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
        Assert.Equal(37, LlamaConfig.FromFile(folder.Config).VocabularySize);
    }

    [Fact]
    public void Another_kind_of_model()
    {
        using var folder = new ModelFolder();
        File.WriteAllText(folder.Config, """{"model_type": "gptj", "n_embd": 768}""");
        Assert.Equal(["model_type is \"gptj\", but this version supports \"gemma2\", \"gemma3_text\", \"gpt2\", \"llama\", \"mistral\", \"phi3\", \"qwen2\" and \"qwen3\"."], Problems(folder));
    }

    [Theory]
    [InlineData("{\"quant_method\": \"gptq\", \"bits\": 4}", " with the quant_method \"gptq\"")]
    [InlineData("{}", "")]
    public void Quantized_weights_are_refused_by_name(string section, string method)
    {
        using LlamaModel model = TinyLlama.Make();
        using var folder = new ModelFolder();
        JsonObject config = ModelFolder.ConfigOf(TinyLlama.Config);
        config["quantization_config"] = JsonNode.Parse(section);
        File.WriteAllText(folder.Config, config.ToJsonString());
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = model.state_dict().ToDictionary(pair => pair.Key, pair => pair.Value.detach());
        Lora.Serialization.SafetensorsWriter.Save(folder.Weights, tensors);
        LlamaModel.FromPretrained(folder.Path).Dispose(); // plain weights beside the section
        tensors["model.layers.0.mlp.up_proj.qweight"] = zeros([3, 4], dtype: ScalarType.Int32);
        Lora.Serialization.SafetensorsWriter.Save(folder.Weights, tensors);
        var error = Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path));
        Assert.Equal($"{folder.Config}: there is a quantization_config{method}, and tensor model.layers.0.mlp.up_proj.qweight is of type I32: quantized weights are not read; take the model's folder in float16, bfloat16 or float32.", error.Message);
    }

    [Fact]
    public void Missing_fields_are_listed_all_at_once()
    {
        using var folder = new ModelFolder();
        File.WriteAllText(folder.Config, "{}");
        Assert.Equal(
            [
                "model_type is missing.", "num_attention_heads is missing.", "hidden_size is missing.", "vocab_size is missing.",
                "intermediate_size is missing.", "num_hidden_layers is missing.",
            ],
            Problems(folder));
    }

    [Fact]
    public void What_is_missing_gives_no_contradictions_besides()
    {
        using var folder = new ModelFolder();
        folder.Write(json =>
        {
            json.Remove("num_attention_heads");
            json["rope_parameters"] = new JsonObject { ["rope_type"] = "llama3", ["factor"] = 8, ["low_freq_factor"] = 4, ["original_max_position_embeddings"] = 64 };
        });
        Assert.Equal(["num_attention_heads is missing.", "rope_parameters.high_freq_factor is missing."], Problems(folder));
    }

    [Fact]
    public void Wrong_types_are_listed_all_at_once()
    {
        using var folder = new ModelFolder();
        folder.Write(json =>
        {
            json["vocab_size"] = "many";
            json["num_hidden_layers"] = 0;
            json["intermediate_size"] = 1.5;
            json["rms_norm_eps"] = -1;
            json["tie_word_embeddings"] = "yes";
            json["eos_token_id"] = new JsonArray(2, "x");
            json["rope_parameters"] = 3;
        });
        Assert.Equal(
            [
                "vocab_size must be a positive integer, but is \"many\".",
                "intermediate_size must be a positive integer, but is 1.5.",
                "num_hidden_layers must be a positive integer, but is 0.",
                "rms_norm_eps must be a positive number, but is -1.",
                "tie_word_embeddings must be true or false, but is \"yes\".",
                "eos_token_id must be a token id or a list of them, but is [2,\"x\"].",
                "rope_parameters must be an object, but is 3.",
            ],
            Problems(folder));
    }

    [Theory]
    [InlineData("num_key_value_heads", 4, "num_attention_heads (6) is no multiple of num_key_value_heads (4).")]
    [InlineData("head_dim", 5, "head_dim (5) is odd, but rotary positions turn components in pairs.")]
    [InlineData("head_dim", null, "hidden_size (20) is no multiple of num_attention_heads (6), and head_dim is not given.", "head_dim (3) is odd, but rotary positions turn components in pairs.")]
    public void Sizes_that_contradict_each_other(string field, int? value, params string[] problems)
    {
        using var folder = new ModelFolder();
        folder.Write(json => json[field] = value);
        Assert.Equal(problems.Order(StringComparer.Ordinal), Problems(folder).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("hidden_act", "\"gelu\"", "hidden_act is \"gelu\", but a Llama has \"silu\".")]
    [InlineData("rope_parameters", """{"rope_type": "yarn", "factor": 2}""", "rope_type is \"yarn\", but this version supports \"default\", \"linear\" and \"llama3\".")]
    [InlineData("rope_parameters", """{"rope_type": "linear"}""", "rope_parameters.factor is missing.")]
    [InlineData("rope_parameters", """{"rope_theta": 100, "partial_rotary_factor": 0.5}""", "partial_rotary_factor is 0.5, but a Llama turns all components (1).")]
    [InlineData("rope_parameters", """{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1.5, "original_max_position_embeddings": 32}""", "high_freq_factor (1.5) must be above low_freq_factor (4).")]
    public void What_is_not_supported_or_senseless(string field, string value, string problem)
    {
        using var folder = new ModelFolder();
        folder.Write(json => json[field] = JsonNode.Parse(value));
        Assert.Equal([problem], Problems(folder));
    }

    [Fact]
    public void A_broken_generation_config_names_itself()
    {
        using var folder = new ModelFolder();
        folder.Write(_ => { });
        File.WriteAllText(folder["generation_config.json"], """{"eos_token_id": -1}""");
        var error = Assert.Throws<AdapterFormatException>(() => LlamaConfig.FromFile(folder.Config));
        Assert.Equal($"{folder["generation_config.json"]}: eos_token_id must be a token id or a list of them, but is -1.", error.Message);
    }

    [Theory]
    [InlineData(null, ".")]
    [InlineData("pytorch_model.bin", "; its .bin files are pickled, which is not read: save it as safetensors first.")]
    public void No_weights(string? file, string end)
    {
        using var folder = new ModelFolder();
        folder.Write(_ => { });
        if (file is not null) File.WriteAllText(folder[file], "");
        var error = Assert.Throws<FileNotFoundException>(() => LlamaModel.FromPretrained(folder.Path));
        Assert.Equal($"There is neither model.safetensors nor model.safetensors.index.json in '{folder.Path}'{end}", error.Message);
    }

    [Fact]
    public void A_truncated_file()
    {
        using ModelFolder folder = ModelFolder.Of(TinyLlama.Config);
        byte[] bytes = File.ReadAllBytes(folder.Weights);
        File.WriteAllBytes(folder.Weights, bytes[..^100]);
        var error = Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path));
        Assert.Equal(folder.Weights, error.Path);
    }

    [Fact]
    public void Everything_wrong_with_the_tensors_is_one_report()
    {
        using var folder = new ModelFolder();
        folder.Write(_ => { });
        using LlamaModel model = TinyLlama.Make();
        folder.WriteWeights(model, ScalarType.Float32, tensors =>
        {
            tensors.Remove("lm_head.weight");
            tensors["model.layers.0.rotary_emb.inv_freq"] = ones(2);
            tensors["model.layers.7.mlp.up_proj.weight"] = ones(2, 3);
            tensors["model.norm.weight"] = ones(1);
            tensors["model.embed_tokens.weight"] = ones([37, 20], dtype: ScalarType.Int64);
        });
        var error = Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path));
        Assert.Equal(folder.Weights, error.Path);
        Assert.Equal(
            [
                "missing tensor lm_head.weight, shape [37, 20]",
                "tensor model.embed_tokens.weight has the type I64, but weights are F16, BF16, F32 or F64",
                "tensor model.norm.weight has the shape [1], but the configuration gives [20]",
                "unexpected tensor model.layers.7.mlp.up_proj.weight, shape [2, 3]",
            ],
            error.Problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void An_index_that_names_an_absent_shard()
    {
        using var folder = new ModelFolder();
        folder.Write(_ => { });
        string index = folder["model.safetensors.index.json"];
        File.WriteAllText(index, """{"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}""");
        var error = Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path));
        Assert.Equal($"{index}: the file 'model-00001-of-00002.safetensors' that it names does not exist.", error.Message);
    }

    private static IEnumerable<string> Problems(ModelFolder folder)
    {
        var error = Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path));
        Assert.Equal(folder.Config, error.Path);
        return error.Problems;
    }
}
