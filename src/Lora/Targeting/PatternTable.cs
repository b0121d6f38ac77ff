using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Lora.Targeting;

/// <summary>
/// Values for modules by pattern, as PEFT's <c>rank_pattern</c> and <c>alpha_pattern</c>: a pattern is a regular expression that must match
/// the module's path from its beginning, or from behind any of its dots, to its end. The first pattern in the table's order decides,
/// so the order is part of the table's value.
/// </summary>
internal sealed class PatternTable<TValue> : IReadOnlyDictionary<string, TValue>, IEquatable<PatternTable<TValue>>
    where TValue : IEquatable<TValue>
{
    // Each takes up to a megabyte.
    private const int MostAutomata = 16;

    private readonly OrderedDictionary<string, TValue> _values = new(StringComparer.Ordinal);
    private readonly Lazy<(PythonRegex Regex, TValue Value)[]> _patterns;

    internal PatternTable(IEnumerable<KeyValuePair<string, TValue>> values)
    {
        foreach ((string pattern, TValue value) in values)
        {
            _values.Add(pattern, value);
        }

        _patterns = new(() => [.. _values.Select(pair => (CompileForUse(pair.Key, _values.Count > MostAutomata), pair.Value))]);
    }

    internal static PatternTable<TValue> Empty { get; } = new([]);

    public IEnumerable<string> Keys => _values.Keys;

    public IEnumerable<TValue> Values => _values.Values;

    public int Count => _values.Count;

    public TValue this[string key] => _values[key];

    public bool ContainsKey(string key) => _values.ContainsKey(key);

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out TValue value) => _values.TryGetValue(key, out value);

    public IEnumerator<KeyValuePair<string, TValue>> GetEnumerator() => _values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public bool Equals(PatternTable<TValue>? other) => other is not null && _values.SequenceEqual(other._values);

    public override bool Equals(object? obj) => Equals(obj as PatternTable<TValue>);

    public override int GetHashCode() => _values.Aggregate(0, (hash, pair) => HashCode.Combine(hash, pair.Key, pair.Value));

    public override string ToString() => $"{{{string.Join(", ", _values.Select(pair => $"{pair.Key}: {pair.Value}"))}}}";

    /// <summary>The value of the first pattern that matches a path, or a default.</summary>
    internal TValue ValueFor(string path, TValue fallback)
    {
        foreach ((PythonRegex regex, TValue value) in _patterns.Value)
        {
            if (regex.IsMatch(path))
            {
                return value;
            }
        }

        return fallback;
    }

    /// <summary>The patterns that no path gets its value from, either because they match none or because earlier ones match first.</summary>
    internal IReadOnlyList<string> Unused(IEnumerable<string> paths)
    {
        var unused = new List<string>(Keys);
        foreach (string path in paths)
        {
            int first = Array.FindIndex(_patterns.Value, pattern => pattern.Regex.IsMatch(path));
            unused.Remove(first < 0 ? "" : _values.GetAt(first).Key);
        }

        return unused;
    }

    /// <summary>The table without the patterns that no path gets its value from.</summary>
    internal PatternTable<TValue> Used(IEnumerable<string> paths)
    {
        IReadOnlyList<string> unused = Unused(paths);
        return new PatternTable<TValue>(_values.Where(pair => !unused.Contains(pair.Key)));
    }

    /// <summary>Says what is wrong with each invalid pattern.</summary>
    internal IEnumerable<string> Problems()
    {
        foreach (string pattern in Keys.Where(key => !PythonRegex.IsPlain(key)))
        {
            if (Reason(() => Compile(pattern)) is string reason)
            {
                yield return Problem(pattern, reason);
            }
        }
    }

    /// <summary>
    /// The same values with the patterns in PEFT's order, which sorts them when it writes a file, if that gives every path the same value;
    /// else this table: a file keeps any order, and the reader takes the first match.
    /// </summary>
    internal PatternTable<TValue> SortedFor(IReadOnlyCollection<string> paths, TValue fallback)
    {
        var sorted = new PatternTable<TValue>(_values.OrderBy(pair => pair.Key, Serialization.CodePointOrder.Instance));
        return paths.All(path => sorted.ValueFor(path, fallback).Equals(ValueFor(path, fallback))) ? sorted : this;
    }

    private static PythonRegex Compile(string pattern, bool backtracks = false) => PythonRegex.Match($@"(.*\.)?({pattern})$", backtracks || PythonRegex.IsQuick(pattern));

    private static PythonRegex CompileForUse(string pattern, bool backtracks)
    {
        try
        {
            return Compile(pattern, backtracks);
        }
        catch (PatternException exception)
        {
            throw new InvalidOperationException($"A key cannot be used: {Problem(pattern, exception.Message)}.", exception);
        }
    }

    // Where the key is invalid by itself, positions that count from its own beginning say more.
    private static string Problem(string pattern, string reason) =>
        $"the pattern '{pattern}' is not a valid regular expression: {Reason(() => PythonRegex.Match(pattern)) ?? reason}";

    private static string? Reason(Func<PythonRegex> compile)
    {
        try
        {
            compile();
            return null;
        }
        catch (PatternException exception)
        {
            return exception.Message;
        }
    }
}
