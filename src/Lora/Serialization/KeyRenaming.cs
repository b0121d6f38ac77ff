using Lora.Parts;
using Lora.Targeting;

namespace Lora.Serialization;

/// <summary>Gives the beginnings of paths in a file other names, those of the model.</summary>
/// <param name="prefixes">What takes the place of what, whole parts of a path; the first that fits decides.</param>
internal sealed class KeyRenaming(IEnumerable<KeyValuePair<string, string>> prefixes)
{
    private const int KeysShown = 3;
    private readonly KeyValuePair<string, string>[] _prefixes = [.. prefixes];

    internal bool IsEmpty => _prefixes.Length == 0;

    /// <summary>Renames a path, or a key without PEFT's prefix.</summary>
    internal string Apply(string path) => Apply(path, _prefixes);

    /// <summary>Says of each prefix that decides for no key that it does not.</summary>
    internal IEnumerable<string> Unused(IReadOnlyCollection<string> keys)
    {
        HashSet<string> used = keys.Select(key => _prefixes.FirstOrDefault(prefix => Rest(key, prefix.Key) is not null).Key).OfType<string>().ToHashSet(StringComparer.Ordinal);
        return _prefixes.Where(prefix => !used.Contains(prefix.Key)).Select(prefix =>
            $"{nameof(LoadOptions.RenamedPrefixes)} has '{prefix.Key}', from which no tensor takes its new name; the file has {string.Join(", ", keys.Take(KeysShown))}{(keys.Count > KeysShown ? $" and {keys.Count - KeysShown} more" : "")}");
    }

    /// <summary>Renames the paths that settings hold in full. Regular expressions for targets stay as they are.</summary>
    internal LoraConfig Apply(LoraConfig config) => IsEmpty ? config : config with
    {
        TargetModules = Apply(config.TargetModules),
        ExcludedModules = Apply(config.ExcludedModules),
        TargetParameters = Apply(config.TargetParameters),
        ModulesToSave = [.. config.ModulesToSave.Select(Name)],
        RankPattern = Apply((PatternTable<int>)config.RankPattern),
        AlphaPattern = Apply((PatternTable<double>)config.AlphaPattern),
        TrainableTokens = config.TrainableTokens is { IsInputEmbedding: false } tokens
            ? TrainableTokens.In(tokens.Ordered.DistinctBy(rows => Name(rows.Key)).ToDictionary(rows => Name(rows.Key), rows => (IReadOnlyList<int>)rows.Value))
            : config.TrainableTokens,
    };

    private ModuleSelector? Apply(ModuleSelector? selector) => selector?.Names is { } names ? ModuleSelector.EndsWith(names.Select(Name)) : selector;

    // PEFT writes paths as patterns without escaping their dots.
    private PatternTable<TValue> Apply<TValue>(PatternTable<TValue> patterns)
        where TValue : IEquatable<TValue> =>
        new(patterns.Select(pattern => KeyValuePair.Create(pattern.Key.StartsWith('^') ? "^" + Apply(pattern.Key[1..]) : Name(pattern.Key), pattern.Value)).DistinctBy(pattern => pattern.Key));

    // What is the end of a path is so too behind a further beginning.
    private string Name(string name) => Apply(name, _prefixes.Where(prefix => prefix.Key.Length > 0));

    private static string Apply(string path, IEnumerable<KeyValuePair<string, string>> prefixes)
    {
        foreach ((string from, string to) in prefixes)
            if (Rest(path, from) is string rest) return to.Length == 0 ? rest : rest.Length == 0 ? to : $"{to}.{rest}";
        return path;
    }

    private static string? Rest(string path, string prefix) =>
        prefix.Length == 0 ? path : path == prefix ? "" : path.StartsWith(prefix + ".", StringComparison.Ordinal) ? path[(prefix.Length + 1)..] : null;
}
