using System.Text.Json;

namespace Lora.Serialization;

/// <summary>The index of a sharded checkpoint: <c>model.safetensors.index.json</c>.</summary>
public sealed class SafetensorsIndex
{
    private SafetensorsIndex(string path, IReadOnlyList<KeyValuePair<string, string>> shards, IReadOnlyDictionary<string, string> metadata)
    {
        Path = path;
        Shards = shards;
        Metadata = metadata;
    }

    /// <summary>The index file.</summary>
    public string Path { get; }

    /// <summary>The file name of the shard that holds a tensor, by the tensor's name and in the order of the index.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Shards { get; }

    /// <summary>What the index says about the whole, such as <c>total_size</c>; each value as it is written in the file.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads an index. The shards are not opened.</summary>
    /// <param name="path">The index file.</param>
    /// <returns>The index.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is not an index, or names a shard outside its own folder.</exception>
    public static SafetensorsIndex Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using JsonDocument document = StrictJson.Parse(path, File.ReadAllBytes(path));
        if (!document.RootElement.TryGetProperty("weight_map", out JsonElement map) || map.ValueKind != JsonValueKind.Object)
        {
            throw new AdapterFormatException(path, "it has no weight_map.");
        }

        var shards = new List<KeyValuePair<string, string>>();
        var problems = new List<string>();
        foreach (JsonProperty property in map.EnumerateObject())
        {
            if (property.Value.ValueKind == JsonValueKind.String && IsPlainFileName(property.Value.GetString()!))
            {
                shards.Add(new(property.Name, property.Value.GetString()!));
            }
            else
            {
                problems.Add($"weight_map names {property.Value.GetRawText()} for tensor '{property.Name}'; it must be the name of a file in the same folder.");
            }
        }

        return problems.Count == 0 ? new SafetensorsIndex(path, shards, ReadMetadata(document.RootElement)) : throw new AdapterFormatException(path, problems);
    }

    // Both separators on every system: a checkpoint must not mean one file here and another elsewhere.
    private static bool IsPlainFileName(string name) => name.Length > 0 && name is not ("." or "..") && name.AsSpan().IndexOfAny("/\\:\0") < 0;

    private static Dictionary<string, string> ReadMetadata(JsonElement root) =>
        root.TryGetProperty("metadata", out JsonElement metadata) && metadata.ValueKind == JsonValueKind.Object
            ? metadata.EnumerateObject().ToDictionary(
                property => property.Name,
                property => property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString()! : property.Value.GetRawText(),
                StringComparer.Ordinal)
            : [];
}
