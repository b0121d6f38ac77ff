using System.Text.Json;
using System.Text.Json.Serialization;
using Lora.Serialization;

namespace Lora.Export;

/// <summary>What a merge that is under way has finished, in a file beside its results, so that another run can go on from there.</summary>
internal sealed class MergeManifest
{
    internal const string FileName = "merge.manifest.json";

    /// <summary>A hash of what all files depend on: the adapters, and how the results are cut into files.</summary>
    public required string Inputs { get; init; }

    /// <summary>The finished files.</summary>
    public Dictionary<string, FinishedShard> Files { get; init; } = [];

    /// <summary>What an earlier run left in a folder; a new manifest where it left nothing, or where it was a run with other adapters.</summary>
    internal static MergeManifest Load(string folder, string inputs)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return new MergeManifest { Inputs = inputs };
        try
        {
            MergeManifest? found = JsonSerializer.Deserialize(File.ReadAllBytes(path), MergeManifestJson.Default.MergeManifest);
            if (found?.Inputs == inputs) return found;
        }
        catch (JsonException)
        {
            // Somebody has changed it: what it says about files is not to be trusted.
        }
        return new MergeManifest { Inputs = inputs };
    }

    internal void Save(string folder) => AtomicFile.Write(Path.Combine(folder, FileName), stream => JsonSerializer.Serialize(stream, this, MergeManifestJson.Default.MergeManifest));
}

/// <summary>A file that is finished.</summary>
/// <param name="Source">A hash of the base's tensors of which it was made.</param>
/// <param name="Result">A hash of the file.</param>
/// <param name="Tensors">What was done to its tensors.</param>
internal sealed record FinishedShard(string Source, string Result, IReadOnlyList<MergedTensor> Tensors);

[JsonSerializable(typeof(MergeManifest))]
[JsonSourceGenerationOptions(WriteIndented = true, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
internal sealed partial class MergeManifestJson : JsonSerializerContext;
