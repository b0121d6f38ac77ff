using System.Collections;
using TorchSharp.Interop;

namespace TorchSharp.Utils;

/// <summary>Reads and writes the elements of a tensor on the CPU, in logical order whatever the strides.</summary>
public sealed unsafe class TensorAccessor<T> : IEnumerable<T>, IDisposable
    where T : unmanaged
{
    private readonly T* _data;
    private readonly long[] _sizes;
    private readonly long[] _strides;
    private readonly bool _dense;
    private torch.Tensor _tensor;

    internal TensorAccessor(torch.Tensor tensor)
    {
        _tensor = tensor;
        _sizes = tensor.shape;
        _strides = tensor.stride();
        _dense = tensor.is_contiguous();
        Count = tensor.NumberOfElements;
        _data = Count == 0 ? null : (T*)Native.Check(Native.st_tensor_data(tensor));
    }

    public long Count { get; }

    public bool IsReadOnly => false;

    /// <summary>With one index the element of that number in logical order, otherwise the one at these coordinates.</summary>
    public T this[params long[] indices]
    {
        get
        {
            T value = *At(Offset(indices));
            GC.KeepAlive(_tensor);
            return value;
        }

        set
        {
            *At(Offset(indices)) = value;
            GC.KeepAlive(_tensor);
        }
    }

    public T[] ToArray()
    {
        var array = new T[Count];
        CopyTo(array.AsSpan());
        return array;
    }

    public Array ToNDArray()
    {
        if (_sizes.Length < 2) return ToArray();
        var array = Array.CreateInstance(typeof(T), _sizes);
        fixed (byte* start = &System.Runtime.InteropServices.MemoryMarshal.GetArrayDataReference(array))
            for (long i = 0; i < Count; i++) ((T*)start)[i] = *At(Offset(i));
        GC.KeepAlive(_tensor);
        return array;
    }

    public void CopyTo(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyTo(array.AsSpan(), arrayIndex, tensorIndex);

    public void CopyTo(Span<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tensorIndex);
        int count = (int)Math.Min(array.Length - arrayIndex, Count - tensorIndex);
        if (count <= 0) return;
        Span<T> target = array.Slice(arrayIndex, count);
        if (_dense) new ReadOnlySpan<T>(At(tensorIndex), count).CopyTo(target);
        else for (int i = 0; i < count; i++) target[i] = *At(Offset(tensorIndex + i));
        GC.KeepAlive(_tensor);
    }

    public void CopyFrom(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyFrom((ReadOnlySpan<T>)array, arrayIndex, tensorIndex);

    public void CopyFrom(ReadOnlySpan<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tensorIndex);
        int count = (int)Math.Min(array.Length - arrayIndex, Count - tensorIndex);
        if (count <= 0) return;
        ReadOnlySpan<T> source = array.Slice(arrayIndex, count);
        if (_dense) source.CopyTo(new Span<T>(At(tensorIndex), count));
        else for (int i = 0; i < count; i++) *At(Offset(tensorIndex + i)) = source[i];
        GC.KeepAlive(_tensor);
    }

    public IEnumerator<T> GetEnumerator()
    {
        for (long i = 0; i < Count; i++) yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose() => _tensor = null;

    public static bool operator ==(TensorAccessor<T> left, TensorAccessor<T> right) => left is null ? right is null : left.Equals(right);

    public static bool operator !=(TensorAccessor<T> left, TensorAccessor<T> right) => !(left == right);

    public override bool Equals(object obj) => obj is TensorAccessor<T> other && Count == other.Count && this.SequenceEqual(other);

    public override int GetHashCode() => HashCode.Combine(Count, (IntPtr)_data);

    private T* At(long offset)
    {
        ObjectDisposedException.ThrowIf(_tensor is null, this);
        _ = _tensor.Handle; // throws when the tensor is disposed
        return _data + offset;
    }

    private long Offset(long[] indices)
    {
        if (indices.Length == 1) return Offset(indices[0]);
        if (indices.Length != _sizes.Length) throw new ArgumentException($"{indices.Length} indices for a tensor of {_sizes.Length} dimensions");
        long offset = 0;
        for (int d = 0; d < indices.Length; d++)
        {
            if ((ulong)indices[d] >= (ulong)_sizes[d]) throw new IndexOutOfRangeException();
            offset += indices[d] * _strides[d];
        }
        return offset;
    }

    private long Offset(long index)
    {
        if ((ulong)index >= (ulong)Count) throw new IndexOutOfRangeException();
        if (_dense) return index;
        long offset = 0;
        for (int d = _sizes.Length - 1; d >= 0; d--)
        {
            offset += index % _sizes[d] * _strides[d];
            index /= _sizes[d];
        }
        return offset;
    }
}
