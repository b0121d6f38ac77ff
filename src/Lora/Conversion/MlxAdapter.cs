using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>
/// Converts adapters between PEFT's form and mlx-lm's: <c>adapters.safetensors</c> with <c>path.lora_a [in, r]</c> and <c>path.lora_b [r, out]</c>, and <c>adapter_config.json</c> with
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
        string[] obstacles = [.. tensors.Select(MlxWriter.Obstacle).OfType<string>()];
        if (obstacles.Length > 0) throw new InvalidOperationException($"The adapter in '{source}' cannot be written in the form of mlx-lm:{string.Concat(obstacles.Select(obstacle => $"\n  - {obstacle}"))}");
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        MlxWriter.Write(destination, folder, tensors);
    }

    // Both forms call their settings adapter_config.json.
    private static void ThrowIfSame(string source, string destination)
    {
        if (Path.TrimEndingDirectorySeparator(Path.GetFullPath(source)) == Path.TrimEndingDirectorySeparator(Path.GetFullPath(destination)))
            throw new ArgumentException($"The two forms have a file of one name, adapter_config.json: '{destination}' cannot be source and destination.", nameof(destination));
    }
}
