using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>
/// Converts adapters between PEFT's form and mlx-lm's where no model is at hand (with one, <see cref="AdapterFormat.Mlx"/> reads and writes the latter): <c>adapters.safetensors</c> with <c>path.lora_a [in, r]</c> and <c>path.lora_b [r, out]</c>, and <c>adapter_config.json</c> with
/// <c>lora_parameters: {rank, scale, dropout, keys}</c>, where scale is the factor s itself, one for all layers.
/// </summary>
public static class MlxAdapter
{
    /// <summary>Makes a folder of PEFT's form, which <see cref="LoraModel.Load"/> reads, of an adapter of mlx-lm: alpha = scale · rank.</summary>
    /// <param name="source">The folder of mlx-lm.</param>
    /// <param name="destination">Where PEFT's two files are written.</param>
    /// <param name="embeddings">Which layers are embeddings; null for those whose names are usual, such as <c>embed_tokens</c>.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="AdapterFormatException">A file is missing or damaged, or holds something else than low-rank pairs of matrices; every problem is listed.</exception>
    /// <exception cref="IOException">A file cannot be written; what was there before is whole.</exception>
    public static void ToPeft(string source, string destination, ModuleSelector? embeddings = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(source);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        ThrowIfSame(source, destination);
        using MlxFolder folder = MlxFolder.Open(source);
        IReadOnlyList<MlxPair> pairs = MlxPair.Of(folder.Weights, out IReadOnlyList<string> problems);
        if (problems.Count > 0) throw new AdapterFormatException(Path.Combine(source, MlxFolder.WeightsName), problems);
        string[] paths = [.. pairs.Select(pair => pair.Path)];
        // Which other modules there are is not known here, so that every layer is named in full.
        LoraConfig config = ExactConfig.Of(
            new LoraConfig { Dropout = folder.Dropout, TargetModules = ModuleSelector.EndsWith(paths) }, [.. pairs.Select(pair => (pair.Path, pair.Rank, folder.Scale * pair.Rank))], paths);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        AdapterFolder.Save(destination, PeftAdapterConfig.From(config), pairs.SelectMany(pair => pair.Tensors(folder.Weights, (embeddings ?? CheckpointLayouts.UsualEmbeddings).Matches(pair.Path))));
    }

    /// <summary>
    /// Makes a folder of mlx-lm's form of an adapter in PEFT's. Layers of smaller rank are filled up with zeros, and where scales differ they go into the B's and the scale is 1: the update is the same.
    /// </summary>
    /// <remarks>It is said to be one for all blocks of the model (<c>num_layers: -1</c>); those without tensors in the file add nothing.</remarks>
    /// <param name="source">The folder in PEFT's form.</param>
    /// <param name="destination">Where mlx-lm's two files are written.</param>
    /// <exception cref="AdapterFormatException">The adapter is damaged, or its layers' scales cannot be told.</exception>
    /// <exception cref="InvalidOperationException">The adapter has what mlx-lm's form cannot hold; every tensor that it cannot is listed.</exception>
    /// <exception cref="IOException">A file cannot be written; what was there before is whole.</exception>
    public static void FromPeft(string source, string destination)
    {
        ArgumentException.ThrowIfNullOrEmpty(source);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        ThrowIfSame(source, destination);
        using AdapterFolder folder = AdapterFolder.Open(source);
        IReadOnlyList<FilePair> tensors = FilePair.Of(folder.Weights);
        string[] unclear = [.. AdapterScaling.Problems(folder, tensors)];
        if (unclear.Length > 0) throw new AdapterFormatException(source, unclear);
        string[] obstacles = [.. tensors.Select(Obstacle).OfType<string>()];
        if (obstacles.Length > 0) throw new InvalidOperationException($"The adapter in '{source}' cannot be written in the form of mlx-lm:{string.Concat(obstacles.Select(obstacle => $"\n  - {obstacle}"))}");
        var layers = tensors.GroupBy(tensor => tensor.Path, StringComparer.Ordinal).Select(layer => (Path: layer.Key, Down: layer.FirstOrDefault(tensor => tensor.IsDown), Up: layer.FirstOrDefault(tensor => tensor.IsUp))).ToArray();
        string[] halves = [.. layers.Where(layer => layer.Down is null || layer.Up is null).Select(layer => $"'{layer.Path}' has {(layer.Down ?? layer.Up)!.Entry.Name} only: the other half of the pair is missing")];
        if (halves.Length > 0 || layers.Length == 0) throw new AdapterFormatException(source, layers.Length == 0 ? ["it holds no tensor"] : halves);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        MlxWriter.Write(
            destination,
            [.. layers.Select(layer => new MlxLayer(layer.Path, folder.Weights.ReadTensor(layer.Down!.Entry.Name), folder.Weights.ReadTensor(layer.Up!.Entry.Name), AdapterScaling.ScaleOf(folder.Config, layer.Path)))],
            folder.Config.Dropout);
    }

    // Why the form has no place for a tensor; null where it has.
    private static string? Obstacle(FilePair tensor)
    {
        if (!tensor.IsFactor) return $"{tensor.Entry.Name} is no factor of a layer, and there is no place for it";
        if (tensor.Kind is "lora_B.bias" or "lora_magnitude_vector") return $"{tensor.Entry.Name} is neither A nor B, and there is no place for it";
        if (tensor.IsNested) return $"{tensor.Entry.Name} belongs to a weight inside another layer, and there is no place for it";
        return tensor.Entry.Shape.Length == 2 ? null : $"{tensor.Entry.Name} has the shape [{string.Join(", ", tensor.Entry.Shape)}], and there is a place for matrices only";
    }

    // Both forms call their settings adapter_config.json.
    private static void ThrowIfSame(string source, string destination)
    {
        if (Path.TrimEndingDirectorySeparator(Path.GetFullPath(source)) == Path.TrimEndingDirectorySeparator(Path.GetFullPath(destination)))
            throw new ArgumentException($"The two forms have a file of one name, adapter_config.json: '{destination}' cannot be source and destination.", nameof(destination));
    }
}
