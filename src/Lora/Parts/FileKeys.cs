namespace Lora.Parts;

/// <summary>The keys of an adapter's file, without PEFT's prefix.</summary>
internal sealed class FileKeys
{
    internal const string Prefix = "base_model.model.";
    private readonly HashSet<string> _keys;

    internal FileKeys(IEnumerable<string> keys) =>
        _keys = keys.Select(key => key.StartsWith(Prefix, StringComparison.Ordinal) ? key[Prefix.Length..] : key).ToHashSet(StringComparer.Ordinal);

    internal bool Has(string key) => _keys.Contains(key);

    /// <summary>Whether there is a tensor of the module at a path, or of one in it.</summary>
    internal bool HasModule(string path) => _keys.Any(key => key.StartsWith(path + ".", StringComparison.Ordinal));
}
