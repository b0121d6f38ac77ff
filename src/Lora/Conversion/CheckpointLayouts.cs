using System.Text.Json;
using Lora.Serialization;

namespace Lora.Conversion;

/// <summary>What names, shapes and the model's family say about layouts, where there are only files.</summary>
internal sealed class CheckpointLayouts(ModelTensors tensors, ExtractionOptions options, string? family) : LayoutRules
{
    /// <summary>The usual names of embeddings.</summary>
    internal static ModuleSelector UsualEmbeddings { get; } = ModuleSelector.EndsWith(
        "embed_tokens", "embed_positions", "tok_embeddings", "wte", "wpe", "word_embeddings", "position_embeddings", "token_type_embeddings", "embed_in", "shared");

    private static readonly ModuleSelector _heads = ModuleSelector.EndsWith("lm_head", "embed_out");

    // Hugging Face's Conv1D is in these and in no others.
    private static readonly string[] _transposedFamilies = ["gpt2", "openai-gpt", "imagegpt", "decision_transformer"];
    private static readonly ModuleSelector _transposed = ModuleSelector.EndsWith("c_attn", "q_attn", "c_proj", "c_fc");

    internal override IReadOnlyCollection<string> Paths { get; } = tensors.ModulePaths;

    internal override bool IsHead(string path) => _heads.Matches(path);

    internal override WeightLayout? Of(string path, IReadOnlyList<long> shape, out string problem)
    {
        problem = shape switch
        {
            [_] => "has a vector for its weight, of which no adapter can be made: leave it out of the targets",
            [> 1, 1, _, ..] => "may be a convolution in groups, since its kernel has one input channel, and a file does not say it: give the model, or leave it out of the targets",
            _ => $"has a weight of the shape [{string.Join(", ", shape)}], which is that of no layer that can be adapted: leave it out of the targets",
        };
        return shape switch
        {
            [_, _] => IsEmbedding(path) ? WeightLayout.Embedding : IsTransposed(path) ? WeightLayout.Transposed : WeightLayout.Linear,
            [> 1, 1, _, ..] => null,
            [_, _, _] or [_, _, _, _] or [_, _, _, _, _] => WeightLayout.Convolution,
            _ => null,
        };
    }

    /// <summary>The family that the <c>config.json</c> in a checkpoint's folder tells; null where there is none or it does not say.</summary>
    internal static string? FamilyOf(string path)
    {
        string folder = Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path))!;
        string file = Path.Combine(folder, "config.json");
        if (!File.Exists(file)) return null;
        using JsonDocument document = StrictJson.Parse(file, File.ReadAllBytes(file));
        return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("model_type", out JsonElement type) && type.ValueKind == JsonValueKind.String ? type.GetString() : null;
    }

    private bool IsEmbedding(string path) => (options.Embeddings ?? UsualEmbeddings).Matches(path);

    private bool IsTransposed(string path) => options.TransposedModules?.Matches(path) ?? (_transposedFamilies.Contains(options.ModelFamily ?? family) && _transposed.Matches(path));
}
