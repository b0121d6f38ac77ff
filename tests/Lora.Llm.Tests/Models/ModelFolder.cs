using System.Text.Json.Nodes;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>The folder of a small Llama in Hugging Face form, to be broken by tests. Its sizes differ from each other.</summary>
internal sealed class ModelFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public string Path => _folder.Path;

    public string Config => _folder["config.json"];

    public string Weights => _folder["model.safetensors"];

    public string this[string name] => _folder[name];

    /// <summary>A config.json as transformers 5 writes it.</summary>
    public static JsonObject ConfigOf(LlamaConfig config) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["model_type"] = "llama",
        ["vocab_size"] = config.VocabularySize,
        ["hidden_size"] = config.HiddenSize,
        ["intermediate_size"] = config.IntermediateSize,
        ["num_hidden_layers"] = config.Layers,
        ["num_attention_heads"] = config.Heads,
        ["num_key_value_heads"] = config.KeyValueHeads,
        ["head_dim"] = config.HeadDimension,
        ["max_position_embeddings"] = config.MaxPositions,
        ["hidden_act"] = "silu",
        ["rms_norm_eps"] = config.NormEpsilon,
        ["tie_word_embeddings"] = config.TieEmbeddings,
        ["attention_bias"] = config.AttentionBias,
        ["mlp_bias"] = config.MlpBias,
        ["rope_parameters"] = new JsonObject { ["rope_theta"] = config.RopeTheta, ["rope_type"] = "default" },
    };

    /// <summary>Writes a whole model: configuration and random weights.</summary>
    public static ModelFolder Of(LlamaConfig config, ScalarType? dataType = null)
    {
        var folder = new ModelFolder();
        File.WriteAllText(folder.Config, ConfigOf(config).ToJsonString());
        using LlamaModel model = TinyLlama.Make(config);
        folder.WriteWeights(model, dataType ?? ScalarType.Float32);
        return folder;
    }

    /// <summary>Writes config.json, changed as the test wants.</summary>
    public void Write(Action<JsonObject> change, LlamaConfig? config = null)
    {
        JsonObject json = ConfigOf(config ?? TinyLlama.Config);
        change(json);
        File.WriteAllText(Config, json.ToJsonString());
    }

    /// <summary>Writes the model's tensors, and those that <paramref name="change"/> makes of them.</summary>
    public void WriteWeights(LlamaModel model, ScalarType dataType, Action<Dictionary<string, Tensor>>? change = null)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().to(dataType));
        change?.Invoke(tensors);
        SafetensorsWriter.Save(Weights, tensors);
    }

    public void Dispose() => _folder.Dispose();
}
