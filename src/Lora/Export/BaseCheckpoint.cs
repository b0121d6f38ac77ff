using System.Text.Json;
using Lora.Conversion;
using Lora.Serialization;

namespace Lora.Export;

/// <summary>The checkpoint that adapters are merged into: its tensors, and what its configuration and names say about them.</summary>
internal sealed class BaseCheckpoint : IDisposable
{
    private const string HeadName = "lm_head.weight";
    private static readonly string[] _inputNames = ["embed_tokens", "wte", "tok_embeddings", "embed_in", "word_embeddings"];
    private readonly CheckpointLayouts _layouts;
    private readonly bool _asksForTransposed;

    private BaseCheckpoint(string folder, SafetensorsSource source, JsonDocument? config, CheckpointMergeOptions options)
    {
        Folder = folder;
        Source = source;
        Config = config;
        string? family = config?.RootElement.TryGetProperty("model_type", out JsonElement type) == true && type.ValueKind == JsonValueKind.String ? type.GetString() : null;
        KnowsFamily = family is not null;
        _asksForTransposed = options.TransposedModules is not null;
        _layouts = new CheckpointLayouts(ModelTensors.Of("the base", source), new ExtractionOptions { TransposedModules = options.TransposedModules }, family);
        Embedding = source.Entries.FirstOrDefault(entry => entry.Shape.Length == 2 && Array.Exists(_inputNames, name => entry.Name == $"{name}.weight" || entry.Name.EndsWith($".{name}.weight", StringComparison.Ordinal)));
        bool hasHead = source.TryGetEntry(HeadName, out SafetensorsEntry? head);
        bool? says = config?.RootElement.TryGetProperty("tie_word_embeddings", out JsonElement tie) == true && tie.ValueKind is JsonValueKind.True or JsonValueKind.False ? config.RootElement.GetProperty("tie_word_embeddings").GetBoolean() : null;
        IsTied = Embedding is not null && (says ?? !hasHead) && (!hasHead || head!.Shape.SequenceEqual(Embedding.Shape));
        HasHead = hasHead;
    }

    internal string Folder { get; }

    internal SafetensorsSource Source { get; }

    internal JsonDocument? Config { get; }

    /// <summary>Whether <c>config.json</c> tells the family, from which it follows which weights are stored as <c>[in, out]</c>.</summary>
    internal bool KnowsFamily { get; }

    /// <summary>The token embedding's weight, where one is found.</summary>
    internal SafetensorsEntry? Embedding { get; }

    /// <summary>Whether the output head uses the token embedding's weight, be it there a second time or not.</summary>
    internal bool IsTied { get; }

    /// <summary>Whether the head has a tensor of its own.</summary>
    internal bool HasHead { get; }

    internal static string Head => HeadName;

    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It holds no weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged.</exception>
    internal static BaseCheckpoint Open(string folder, CheckpointMergeOptions options)
    {
        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"There is no model folder '{folder}'.");
        string file = Path.Combine(folder, "config.json");
        JsonDocument? config = File.Exists(file) ? StrictJson.Parse(file, File.ReadAllBytes(file)) : null;
        return new BaseCheckpoint(folder, SafetensorsSource.Open(folder), config, options);
    }

    /// <summary>Whether a square weight is stored as <c>[in, out]</c>.</summary>
    internal bool IsTransposed(string path, SafetensorsEntry weight, bool fanInFanOut) =>
        !KnowsFamily && !_asksForTransposed ? fanInFanOut : _layouts.Of(path, weight.Shape, out _) == WeightLayout.Transposed;

    public void Dispose()
    {
        Source.Dispose();
        Config?.Dispose();
    }
}
