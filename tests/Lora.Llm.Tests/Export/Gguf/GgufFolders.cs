using Lora.Llm.Export;
using Lora.Llm.Tests.Models;
using Lora.Serialization;
using Lora.Tests;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>Folders of small models of the families that GGUF is written for, and adapters for them. Heads share keys, and no two sizes are the same.</summary>
internal static class GgufFolders
{
    private const string Decoder = """
        "vocab_size":37,"hidden_size":20,"intermediate_size":27,"num_hidden_layers":2,"num_attention_heads":6,"num_key_value_heads":2,"head_dim":4,"max_position_embeddings":64,
        "rms_norm_eps":1e-5,"rope_theta":500,"hidden_act":"silu","bos_token_id":1,"eos_token_id":2
        """;

    /// <summary>The families, Llama also with biases and frequencies of Llama 3, and with a shared head.</summary>
    public static string[] Kinds => ["llama", "llama-biased", "llama-tied", "mistral", "qwen2", "qwen3", "gpt2"];

    /// <summary>Writes a folder of random weights.</summary>
    public static void Make(string kind, string folder, ScalarType type = ScalarType.Float32, string more = "", int vocabulary = 37, int? width = null)
    {
        Directory.CreateDirectory(folder);
        string config = $"{{{ConfigOf(kind)}{more}}}".Replace("\"vocab_size\":37", $"\"vocab_size\":{vocabulary}", StringComparison.Ordinal);
        // Rows of blocks: the width, that of all heads and that inside the feed-forward part.
        if (width is int wide)
        {
            config = config.Replace("\"hidden_size\":20,\"intermediate_size\":27", $"\"hidden_size\":{wide},\"intermediate_size\":{wide / 2}", StringComparison.Ordinal).Replace("\"num_attention_heads\":6,", "\"num_attention_heads\":8,", StringComparison.Ordinal)
                .Replace("\"n_embd\":20,\"n_inner\":27", $"\"n_embd\":{wide},\"n_inner\":{wide / 2}", StringComparison.Ordinal).Replace("\"n_head\":5", "\"n_head\":4", StringComparison.Ordinal);
        }
        File.WriteAllText(Path.Combine(folder, "config.json"), config);
        using CausalLanguageModel model = Filled(folder);
        using var scope = NewDisposeScope();
        SafetensorsWriter.Save(Path.Combine(folder, "model.safetensors"), model.named_parameters().Select(p => KeyValuePair.Create(p.name, p.parameter.detach().to(type))));
    }

    /// <summary>Writes an adapter with random factors for a folder's model, and returns the paths of its layers.</summary>
    public static IReadOnlyList<string> Adapt(string source, string adapter, LoraConfig config)
    {
        using CausalLanguageModel model = AutoModel.FromPretrained(source, new PretrainedOptions { Device = TestDevice.Current });
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, config);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var generator = new Generator(11);
        foreach ((string name, Parameter parameter) in model.named_parameters().Where(p => p.name.Contains("lora_", StringComparison.Ordinal))) parameter.copy_(randn(parameter.shape, generator: generator).mul(0.2));
        lora.Save(adapter);
        return [.. lora.Layers.Select(layer => layer.Path)];
    }

    /// <summary>The logits of a folder's model with an adapter, in float64.</summary>
    public static double[] Logits(string source, string? adapter, int[] ids)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using CausalLanguageModel model = AutoModel.FromPretrained(source, new PretrainedOptions { DataType = ScalarType.Float64, Device = TestDevice.Current });
        using LoraModel<CausalLanguageModel>? lora = adapter is null ? null : LoraModel.Load(model, adapter);
        return TinyLlama.Values(model.call(new CausalInput(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0).to(TestDevice.Current))));
    }

    /// <summary>Writes the GGUF file of a folder, without a tokenizer.</summary>
    public static PlainGguf Export(string source, string file, Lora.Export.Gguf.GgufType? type = null)
    {
        GgufModelExport.Run(source, file, new GgufModelOptions { Type = type, IncludeTokenizer = false }, cancellationToken: TestContext.Current.CancellationToken);
        return new PlainGguf(file);
    }

    private static string ConfigOf(string kind) => kind switch
    {
        "llama" => $"\"model_type\":\"llama\",{Decoder}",
        "llama-biased" => $$"""
            "model_type":"llama",{{Decoder}},"attention_bias":true,"mlp_bias":true,
            "rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":16}
            """,
        "llama-tied" => $"\"model_type\":\"llama\",{Decoder},\"tie_word_embeddings\":true,\"rope_scaling\":{{\"type\":\"linear\",\"factor\":2.5}}",
        "mistral" => $"\"model_type\":\"mistral\",{Decoder},\"sliding_window\":null",
        "qwen2" => $"\"model_type\":\"qwen2\",{Decoder}",
        "qwen3" => $"\"model_type\":\"qwen3\",{Decoder}",
        _ => "\"model_type\":\"gpt2\",\"vocab_size\":37,\"n_embd\":20,\"n_inner\":27,\"n_layer\":2,\"n_head\":5,\"n_positions\":24,\"bos_token_id\":1,\"eos_token_id\":2,\"tie_word_embeddings\":false",
    };

    private static CausalLanguageModel Filled(string folder)
    {
        string config = Path.Combine(folder, "config.json");
        return File.ReadAllText(config) switch
        {
            string text when text.Contains("\"mistral\"", StringComparison.Ordinal) => TinyLlama.Filled(new MistralModel(MistralConfig.FromFile(config), ScalarType.Float32, TestDevice.Current)),
            string text when text.Contains("\"qwen2\"", StringComparison.Ordinal) => TinyLlama.Filled(new Qwen2Model(Qwen2Config.FromFile(config), ScalarType.Float32, TestDevice.Current)),
            string text when text.Contains("\"qwen3\"", StringComparison.Ordinal) => TinyLlama.Filled(new Qwen3Model(Qwen3Config.FromFile(config), ScalarType.Float32, TestDevice.Current)),
            string text when text.Contains("\"gpt2\"", StringComparison.Ordinal) => TinyLlama.Filled(new Gpt2Model(Gpt2Config.FromFile(config), ScalarType.Float32, TestDevice.Current)),
            _ => TinyLlama.Filled(new LlamaModel(LlamaConfig.FromFile(config), ScalarType.Float32, TestDevice.Current)),
        };
    }
}
