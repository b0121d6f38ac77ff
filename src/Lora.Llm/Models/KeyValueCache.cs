using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>Keys and values of the tokens that a model has seen, so that each is computed once. Its memory grows with what it holds, up to its capacity.</summary>
public sealed class KeyValueCache : IDisposable
{
    // Memory for so many positions is taken at once; behind them it doubles.
    private const int LeastRoom = 1024;

    private readonly (Tensor Keys, Tensor Values)?[] _layers;
    private bool _disposed;

    /// <summary>Creates an empty cache.</summary>
    /// <param name="layers">The number of attention layers.</param>
    /// <param name="capacity">The largest number of positions.</param>
    internal KeyValueCache(int layers, int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        _layers = new (Tensor, Tensor)?[layers];
        Capacity = capacity;
    }

    /// <summary>The largest number of positions.</summary>
    public int Capacity { get; }

    /// <summary>The number of positions that are held.</summary>
    public int Length { get; private set; }

    /// <summary>Whether the keys were turned by the frequencies of long texts, where a model has such.</summary>
    internal bool IsLong { get; set; }

    /// <summary>Releases the memory.</summary>
    public void Dispose()
    {
        for (int i = 0; i < _layers.Length; i++)
        {
            _layers[i]?.Keys.Dispose();
            _layers[i]?.Values.Dispose();
            _layers[i] = null;
        }
        Length = 0;
        _disposed = true;
    }

    /// <summary>Adds the keys and values of new positions to one layer and returns views of all.</summary>
    /// <param name="layer">The layer's index.</param>
    /// <param name="keys">Shape <c>[batch, heads, new, head_dim]</c>.</param>
    /// <param name="values">The same shape.</param>
    /// <exception cref="InvalidOperationException">The cache is full, or belongs to another model or batch.</exception>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor keys, Tensor values)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        long added = keys.shape[2], total = Length + added;
        if (total > Capacity)
            throw new InvalidOperationException($"The cache holds {Length} of {Capacity} positions and cannot take {added} more: make it with a larger capacity.");
        if (layer >= _layers.Length || (_layers[layer]?.Keys is Tensor held && !SameButForPositions(held.shape, keys.shape)))
            throw new InvalidOperationException("The cache was filled by another model or with another number of texts: make a new one for each batch.");
        using var noGrad = no_grad();
        (Tensor allKeys, Tensor allValues) = Room(layer, keys, values, total);
        using (Tensor place = allKeys.narrow(2, Length, added)) place.copy_(keys);
        using (Tensor place = allValues.narrow(2, Length, added)) place.copy_(values);
        return (allKeys.narrow(2, 0, total), allValues.narrow(2, 0, total));
    }

    /// <summary>Forgets all positions and keeps the memory.</summary>
    internal void Clear() => Length = 0;

    /// <summary>Counts new positions, after all layers have got them.</summary>
    internal void Advance(int positions) => Length += positions;

    // The copy below would broadcast a smaller batch.
    private static bool SameButForPositions(long[] one, long[] other) => one[0] == other[0] && one[1] == other[1] && one[3] == other[3];

    // What is held moves along when there has to be more room.
    private (Tensor Keys, Tensor Values) Room(int layer, Tensor keys, Tensor values, long total)
    {
        (Tensor Keys, Tensor Values)? held = _layers[layer];
        if (held is (Tensor, Tensor) enough && enough.Keys.shape[2] >= total) return enough;
        (Tensor Keys, Tensor Values) room = (Room(keys, held?.Keys, total), Room(values, held?.Values, total));
        held?.Keys.Dispose();
        held?.Values.Dispose();
        _layers[layer] = room;
        return room;
    }

    private Tensor Room(Tensor like, Tensor? held, long total)
    {
        long[] shape = like.shape;
        shape[2] = Math.Min(Capacity, Math.Max(LeastRoom, 2 * total));
        Tensor room = empty(shape, dtype: like.dtype, device: like.device).DetachFromDisposeScope();
        if (held is null) return room;
        using Tensor before = held.narrow(2, 0, Length), place = room.narrow(2, 0, Length);
        place.copy_(before);
        return room;
    }
}
