using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Mixing;

/// <summary>Which adapter each row of a batch uses, found out once for all layers.</summary>
internal sealed class BatchAdapters : IDisposable
{
    private readonly RowGroup[] _groups;
    private readonly Dictionary<string, RowSelection> _selections = new(StringComparer.Ordinal);

    /// <param name="names">For each row an adapter's name, or <see cref="LoraModel.BaseAdapter"/>.</param>
    internal BatchAdapters(IReadOnlyList<string> names)
    {
        Count = names.Count;
        var rows = new OrderedDictionary<string, List<long>>(StringComparer.Ordinal);
        for (int row = 0; row < names.Count; row++)
        {
            string name = names[row];
            ArgumentNullException.ThrowIfNull(name, nameof(names));
            if (name == LoraModel.BaseAdapter) continue;
            if (!rows.TryGetValue(name, out List<long>? own)) rows.Add(name, own = []);
            own.Add(row);
        }
        Names = [.. rows.Keys];
        _groups = [.. rows.Select(pair => new RowGroup(pair.Key, [.. pair.Value]))];
    }

    /// <summary>The adapters that are used, each once.</summary>
    internal IReadOnlyList<string> Names { get; }

    /// <summary>The number of rows.</summary>
    internal int Count { get; }

    /// <summary>Whether a row uses the adapter of that name.</summary>
    internal bool Uses(string name) => Names.Contains(name);

    /// <summary>The rows of an adapter that is used.</summary>
    internal RowGroup RowsOf(string name) => Array.Find(_groups, group => group.Name == name)!;

    /// <summary>Whether a tensor has as many rows as adapters were named for.</summary>
    internal bool Fits(Tensor input) => RowsIn(input) == Count;

    /// <summary>What to throw where it has not.</summary>
    /// <param name="path">The path of what the tensor goes into.</param>
    /// <param name="input">The tensor.</param>
    internal InvalidOperationException Misfit(string path, Tensor input) => new(
        $"Adapters are named for {Count} samples, but the input of '{path}' has {RowsIn(input)} rows: name one for each row of the first dimension, '{LoraModel.BaseAdapter}' for none.");

    /// <summary>What one layer does with the batch.</summary>
    /// <param name="path">The layer's path, for error texts.</param>
    /// <param name="adapters">The layer's adapters.</param>
    internal LayerMix For(string path, AdapterSet adapters)
    {
        RowGroup[] groups = [.. _groups.Where(group => adapters.Contains(group.Name))];
        if (groups.Length == 0) return new LayerMix(path, this, null, []);
        string key = string.Join('/', groups.Select(group => group.Name)); // No name has a slash.
        if (!_selections.TryGetValue(key, out RowSelection? selection)) _selections.Add(key, selection = new RowSelection(groups, Count));
        return new LayerMix(path, this, selection, [.. groups.Select(group => adapters[group.Name])]);
    }

    public void Dispose()
    {
        foreach (RowSelection selection in _selections.Values) selection.Dispose();
        _selections.Clear();
    }

    private static long RowsIn(Tensor input) => input.dim() > 0 ? input.shape[0] : 1;
}
