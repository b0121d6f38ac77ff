using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Mixing;

/// <summary>
/// The rows of a batch that a layer has adapters for, sorted by adapter. Layers with the same adapters share one, so that what is made of it for a device is
/// made once a batch and not once a layer.
/// </summary>
internal sealed class RowSelection : IDisposable
{
    private readonly long _batch;
    private readonly Lazy<long[]> _rows;
    private readonly Lazy<bool> _isWhole;
    private readonly Dictionary<string, Tensor> _made = new(StringComparer.Ordinal);

    /// <param name="groups">The groups of rows; at least one.</param>
    /// <param name="batch">The number of rows in the batch.</param>
    internal RowSelection(IReadOnlyList<RowGroup> groups, long batch)
    {
        Groups = groups;
        _batch = batch;
        _rows = new Lazy<long[]>(() => [.. groups.SelectMany(group => group.Rows)]);
        _isWhole = new Lazy<bool>(() => _rows.Value.Length == batch && _rows.Value.Select((row, i) => row == i).All(same => same));
        Lengths = [.. groups.Select(group => (long)group.Rows.Length)];
        long step = groups[0].Whole.Step;
        if (step > 1 && groups.All(group => group.IsRegular && group.Whole.Step == step && group.Whole.Count * step == batch)) Turns = step;
    }

    internal IReadOnlyList<RowGroup> Groups { get; }

    /// <summary>After how many rows the adapters come round again, where they take turns throughout the batch; null where they do not.</summary>
    internal long? Turns { get; }

    /// <summary>The number of rows of each group.</summary>
    internal long[] Lengths { get; }

    /// <summary>The selected rows of a tensor, group by group. It is the tensor itself where that is so already.</summary>
    internal Tensor Gather(Tensor tensor) => _isWhole.Value ? tensor : tensor.index_select(0, Index(tensor.device));

    /// <summary>The rows of a tensor that lie group by group, back in the order of the batch, all of which the groups hold.</summary>
    internal Tensor Restore(Tensor sorted) => _isWhole.Value ? sorted : sorted.index_select(0, Once($"back|{sorted.device}", () =>
    {
        long[] places = new long[_batch];
        for (int i = 0; i < places.Length; i++) places[_rows.Value[i]] = i;
        return tensor(places, dtype: ScalarType.Int64, device: sorted.device);
    }));

    /// <summary>A new tensor: <paramref name="sum"/> with a term for each selected row added.</summary>
    internal Tensor Add(Tensor sum, Tensor term) => _isWhole.Value ? sum.add(term) : sum.index_add(0, Index(sum.device), term, 1);

    /// <summary>The numbers of one group's rows.</summary>
    internal Tensor Index(RowGroup group, Device device) => Once($"{group.Name}|{device}", () => tensor(group.Rows, dtype: ScalarType.Int64, device: device));

    /// <summary>
    /// Shape <c>[batch, Σr]</c>: in the columns of its own adapter a row has that adapter's scale, in the others zero.
    /// </summary>
    internal Tensor Mask(IReadOnlyList<(int Rank, double Scale)> adapters, ScalarType type, Device device)
    {
        string key = string.Join(";", adapters.Select(adapter => string.Create(CultureInfo.InvariantCulture, $"{adapter.Rank}*{adapter.Scale:R}")));
        return Once($"{key}|{type}|{device}", () =>
        {
            int width = adapters.Sum(adapter => adapter.Rank), column = 0;
            double[] values = new double[_batch * width];
            for (int g = 0; g < Groups.Count; g++)
            {
                foreach (long row in Groups[g].Rows) values.AsSpan((int)(row * width) + column, adapters[g].Rank).Fill(adapters[g].Scale);
                column += adapters[g].Rank;
            }
            return tensor(values, [_batch, width], dtype: type, device: device);
        });
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _made.Values) tensor.Dispose();
        _made.Clear();
    }

    private Tensor Index(Device device) => Once($"{device}", () => tensor(_rows.Value, dtype: ScalarType.Int64, device: device));

    // It lives as long as the scope of the batch, not as the scope in which a layer happens to need it first.
    private Tensor Once(string key, Func<Tensor> make)
    {
        if (!_made.TryGetValue(key, out Tensor? tensor)) _made.Add(key, tensor = make().DetachFromDisposeScope());
        return tensor;
    }
}
