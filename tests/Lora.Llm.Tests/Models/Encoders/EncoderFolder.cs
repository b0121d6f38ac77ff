using System.Text.Json.Nodes;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Encoders;

/// <summary>The folder of a small encoder in Hugging Face form, to be broken by tests.</summary>
internal sealed class EncoderFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public string Path => _folder.Path;

    public string Config => _folder["config.json"];

    public string Weights => _folder["model.safetensors"];

    /// <summary>Writes a whole model: configuration and random weights, and what <paramref name="change"/> makes of the tensors.</summary>
    public static EncoderFolder Of(string family, Type task, Action<Dictionary<string, Tensor>>? change = null)
    {
        var folder = new EncoderFolder();
        folder.Write(family, task, _ => { });
        using var scope = NewDisposeScope();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make(family, task, ScalarType.Float32);
        Dictionary<string, Tensor> tensors = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach());
        change?.Invoke(tensors);
        SafetensorsWriter.Save(folder.Weights, tensors);
        model.Dispose();
        return folder;
    }

    /// <summary>Writes config.json, changed as the test wants.</summary>
    public void Write(string family, Type task, Action<JsonObject> change)
    {
        EncoderConfig config = family == "bert" ? TinyEncoders.Bert : TinyEncoders.Roberta;
        string kind = task == typeof(SequenceClassifier) ? "ForSequenceClassification" : task == typeof(TokenClassifier) ? "ForTokenClassification" : "ForMaskedLM";
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray((family == "bert" ? "Bert" : "Roberta") + kind),
            ["model_type"] = family,
            ["vocab_size"] = config.VocabularySize,
            ["hidden_size"] = config.HiddenSize,
            ["intermediate_size"] = config.IntermediateSize,
            ["num_hidden_layers"] = config.Layers,
            ["num_attention_heads"] = config.Heads,
            ["max_position_embeddings"] = config.Positions,
            ["type_vocab_size"] = config.TokenTypes,
            ["pad_token_id"] = config.PadTokenId,
            ["hidden_act"] = "gelu",
            ["id2label"] = new JsonObject { ["0"] = "no", ["1"] = "yes", ["2"] = "maybe", ["3"] = "never" },
        };
        change(json);
        File.WriteAllText(Config, json.ToJsonString());
    }

    public void Dispose() => _folder.Dispose();
}
