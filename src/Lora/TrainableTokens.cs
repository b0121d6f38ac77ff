namespace Lora;

/// <summary>Which rows of which embeddings an adapter trains; see <see cref="LoraConfig.TrainableTokens"/>. Immutable, and compared by value.</summary>
public sealed class TrainableTokens : IEquatable<TrainableTokens>
{
    private readonly OrderedDictionary<string, SettingList<int>> _rows = new(StringComparer.Ordinal);

    private TrainableTokens(IEnumerable<KeyValuePair<string, IReadOnlyList<int>>> rows, bool isInputEmbedding)
    {
        foreach ((string name, IReadOnlyList<int> indices) in rows) _rows.Add(name, SettingList<int>.Of(indices));
        IsInputEmbedding = isInputEmbedding;
    }

    /// <summary>Whether the rows are those of the model's token embedding, whatever its name.</summary>
    public bool IsInputEmbedding { get; }

    /// <summary>The rows by the name of the embedding, in order; by an empty name where <see cref="IsInputEmbedding"/>.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<int>> Rows => _rows.ToDictionary(pair => pair.Key, pair => (IReadOnlyList<int>)pair.Value, StringComparer.Ordinal);

    /// <summary>Trains rows of the model's token embedding: what an <see cref="IHasTokenEmbedding"/> names, else the module called <c>embed_tokens</c>.</summary>
    /// <param name="indices">The rows, that is, token ids.</param>
    /// <returns>The setting.</returns>
    public static TrainableTokens Of(params IEnumerable<int> indices) => new([new("", [.. indices])], isInputEmbedding: true);

    /// <summary>Trains rows of one embedding.</summary>
    /// <param name="embedding">Its path, or the end of it behind a dot.</param>
    /// <param name="indices">The rows.</param>
    /// <returns>The setting.</returns>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static TrainableTokens In(string embedding, params IEnumerable<int> indices)
    {
        ArgumentException.ThrowIfNullOrEmpty(embedding);
        return new TrainableTokens([new(embedding, [.. indices])], isInputEmbedding: false);
    }

    /// <summary>Trains rows of several embeddings.</summary>
    /// <param name="rows">The rows by the path of the embedding, or the end of it behind a dot.</param>
    /// <returns>The setting.</returns>
    /// <exception cref="ArgumentException">A name is empty.</exception>
    public static TrainableTokens In(IReadOnlyDictionary<string, IReadOnlyList<int>> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        foreach (string name in rows.Keys) ArgumentException.ThrowIfNullOrEmpty(name, nameof(rows));
        return new TrainableTokens(rows, isInputEmbedding: false);
    }

    /// <inheritdoc/>
    public bool Equals(TrainableTokens? other) => other is not null && IsInputEmbedding == other.IsInputEmbedding && _rows.Count == other._rows.Count
        && _rows.All(pair => other._rows.TryGetValue(pair.Key, out SettingList<int>? indices) && pair.Value.Equals(indices));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as TrainableTokens);

    /// <inheritdoc/>
    public override int GetHashCode() => _rows.Aggregate(0, (hash, pair) => hash ^ HashCode.Combine(pair.Key, pair.Value));

    /// <summary>The embeddings and their rows.</summary>
    public override string ToString() => string.Join(", ", _rows.Select(pair => $"{(pair.Key.Length > 0 ? pair.Key + ": " : "")}{pair.Value}"));

    /// <summary>The rows in order, without a copy.</summary>
    internal IEnumerable<KeyValuePair<string, SettingList<int>>> Ordered => _rows;

    internal IEnumerable<string> Problems()
    {
        if (_rows.Count == 0) yield return "no embedding is named";
        foreach ((string name, SettingList<int> indices) in _rows)
        {
            string of = name.Length > 0 ? $" of '{name}'" : "";
            if (indices.Count == 0) yield return $"no row{of} is given";
            if (indices.Any(index => index < 0)) yield return $"the rows{of} must not be negative, but one is {indices.First(index => index < 0)}";
            foreach (IGrouping<int, int> twice in indices.GroupBy(index => index).Where(group => group.Count() > 1)) yield return $"row {twice.Key}{of} is given twice";
        }
    }
}
