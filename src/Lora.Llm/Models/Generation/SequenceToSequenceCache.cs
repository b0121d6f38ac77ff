using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// Keys and values of the tokens that a decoder has seen, and of the text that it looks at: each is computed once. It belongs to one batch of one model; no gradient
/// flows through it.
/// </summary>
public sealed class SequenceToSequenceCache : IDisposable
{
    private readonly (Tensor Keys, Tensor Values)?[] _encoded;

    /// <summary>Creates an empty cache.</summary>
    /// <param name="layers">The number of the decoder's layers.</param>
    /// <param name="capacity">The largest number of decoded positions.</param>
    internal SequenceToSequenceCache(int layers, int capacity)
    {
        Decoded = new KeyValueCache(layers, capacity);
        _encoded = new (Tensor, Tensor)?[layers];
    }

    /// <summary>The largest number of decoded positions.</summary>
    public int Capacity => Decoded.Capacity;

    /// <summary>The number of decoded positions that are held.</summary>
    public int Length => Decoded.Length;

    /// <summary>The keys and values of the decoder's self-attention.</summary>
    internal KeyValueCache Decoded { get; }

    /// <summary>Releases the memory.</summary>
    public void Dispose()
    {
        Decoded.Dispose();
        for (int i = 0; i < _encoded.Length; i++)
        {
            _encoded[i]?.Keys.Dispose();
            _encoded[i]?.Values.Dispose();
            _encoded[i] = null;
        }
    }

    /// <summary>The keys and values of the encoded text in one layer, computed the first time.</summary>
    internal (Tensor Keys, Tensor Values) Encoded(int layer, Func<(Tensor Keys, Tensor Values)> compute)
    {
        if (_encoded[layer] is (Tensor, Tensor) held) return held;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        (Tensor keys, Tensor values) = compute();
        (Tensor, Tensor) kept = (keys.contiguous().DetachFromDisposeScope(), values.contiguous().DetachFromDisposeScope());
        _encoded[layer] = kept;
        return kept;
    }

    /// <summary>Counts new positions, after all layers have got them.</summary>
    internal void Advance(int positions) => Decoded.Advance(positions);
}
