using System.Diagnostics.CodeAnalysis;

namespace Lora.Serialization;

/// <summary>A checkpoint that is spread over several safetensors files, with the index that says which tensor lies in which.</summary>
/// <remarks>The index decides: a tensor of a shard that the index does not list is not part of the checkpoint.</remarks>
public sealed class SafetensorsFolder : SafetensorsSource
{
    private readonly Dictionary<string, SafetensorsFile> _shards;
    private readonly Dictionary<string, SafetensorsFile> _owners = new(StringComparer.Ordinal);
    private readonly List<SafetensorsEntry> _entries = [];

    private SafetensorsFolder(SafetensorsIndex index, Dictionary<string, SafetensorsFile> shards)
        : base(index.Path)
    {
        _shards = shards;
        Metadata = index.Metadata;
        var problems = new List<string>();
        foreach ((string name, string shard) in index.Shards)
        {
            if (shards[shard].TryGetEntry(name, out SafetensorsEntry? entry))
            {
                _owners.Add(name, shards[shard]);
                _entries.Add(entry);
            }
            else
            {
                problems.Add($"tensor '{name}' is not in '{shard}'.");
            }
        }

        if (problems.Count > 0)
        {
            throw new AdapterFormatException(Path, problems);
        }
    }

    /// <inheritdoc/>
    public override IReadOnlyCollection<SafetensorsEntry> Entries => _entries;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens an index and every file that it names.</summary>
    /// <param name="path">A <c>.safetensors.index.json</c>; the files that it names lie beside it.</param>
    /// <returns>The opened checkpoint; dispose it when done.</returns>
    /// <exception cref="FileNotFoundException">There is no such index.</exception>
    /// <exception cref="AdapterFormatException">The index or a shard is malformed, a shard is missing, or one lacks a tensor that it should hold.</exception>
    public static new SafetensorsFolder Open(string path)
    {
        SafetensorsIndex index = SafetensorsIndex.Load(path);
        string folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        var shards = new Dictionary<string, SafetensorsFile>(StringComparer.Ordinal);
        SafetensorsFolder? result = null;
        try
        {
            string[] names = [.. index.Shards.Select(pair => pair.Value).Distinct(StringComparer.Ordinal)];
            string[] missing = [.. names.Where(name => !File.Exists(System.IO.Path.Combine(folder, name)))];
            if (missing.Length > 0)
            {
                throw new AdapterFormatException(path, missing.Select(name => $"the file '{name}' that it names does not exist."));
            }

            foreach (string name in names)
            {
                shards.Add(name, SafetensorsFile.Open(System.IO.Path.Combine(folder, name)));
            }

            return result = new SafetensorsFolder(index, shards);
        }
        finally
        {
            if (result is null)
            {
                Close(shards);
            }
        }
    }

    /// <summary>The file that holds a tensor.</summary>
    internal SafetensorsFile OwnerOf(string name) => _owners[name];

    /// <inheritdoc/>
    public override bool TryGetEntry(string name, [NotNullWhen(true)] out SafetensorsEntry? entry)
    {
        entry = null;
        return _owners.TryGetValue(name, out SafetensorsFile? shard) && shard.TryGetEntry(name, out entry);
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> GetBytes(string name, long start, int count) => _owners.TryGetValue(name, out SafetensorsFile? shard)
        ? shard.GetBytes(name, start, count)
        : throw new KeyNotFoundException($"{Path} holds no tensor '{name}'.");

    private protected override void Dispose(bool disposing) => Close(_shards);

    private static void Close(Dictionary<string, SafetensorsFile> shards)
    {
        foreach (SafetensorsFile shard in shards.Values)
        {
            shard.Dispose();
        }
    }
}
