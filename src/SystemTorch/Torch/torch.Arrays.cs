using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A tensor over the memory of the array, which stays pinned until the last native tensor on it is gone.</summary>
    public static Tensor from_array(Array rawArray, Device device = null) => from_array(rawArray, null, device);

    public static Tensor from_array(
        Array rawArray, ScalarType? dtype, Device device = null, bool requires_grad = false, string[] names = null)
    {
        ArgumentNullException.ThrowIfNull(rawArray);
        device = InitializeDevice(device); // may refuse, and must before the array is pinned
        return Finished(Moved(Shared(rawArray, TypeOf(rawArray), Lengths(rawArray), 0), dtype, device), requires_grad, names);
    }

    /// <summary><paramref name="count"/> elements of <paramref name="dtype"/> in the memory of the array, from byte <paramref name="offset"/> on.</summary>
    public static Tensor frombuffer(Array rawArray, ScalarType dtype, long count = -1, long offset = 0, bool requires_grad = false)
    {
        ArgumentNullException.ThrowIfNull(rawArray);
        long bytes = rawArray.LongLength * TypeOf(rawArray).ElementSize();
        long available = (bytes - offset) / dtype.ElementSize();
        if (offset < 0 || offset > bytes) throw new ArgumentOutOfRangeException(nameof(offset), offset, $"the array has {bytes} bytes");
        if (count < 0) count = available;
        else if (count > available) throw new ArgumentOutOfRangeException(nameof(count), count, $"the array holds {available} elements of {dtype} from there");
        return Finished(Shared(rawArray, dtype, [count], offset).Wrap(), requires_grad);
    }

    private static unsafe RawTensor Shared(Array array, ScalarType type, long[] sizes, long offset)
    {
        // This handle pins any array of unmanaged values; GCHandle refuses bool[].
        var pin = new PinnedGCHandle<Array>(array);
        void* data = Unsafe.AsPointer(ref Unsafe.AddByteOffset(ref MemoryMarshal.GetArrayDataReference(array), (nint)offset));
        fixed (long* shape = sizes)
        {
            IntPtr tensor = Native.st_tensor_from_blob(data, shape, sizes.Length, (int)type, &Unpin, PinnedGCHandle<Array>.ToIntPtr(pin));
            if (tensor != IntPtr.Zero) return new RawTensor(tensor);
            pin.Dispose();
            Native.ThrowLastError();
            return default;
        }
    }

    [UnmanagedCallersOnly]
    private static void Unpin(IntPtr pin) => PinnedGCHandle<Array>.FromIntPtr(pin).Dispose();

    private static Tensor Copied<T>(
        T[] values, ReadOnlySpan<long> sizes, ScalarType? dtype, Device device, bool requires_grad, string[] names)
        where T : unmanaged => Copied((ReadOnlySpan<T>)values, sizes, dtype, device, requires_grad, names);

    private static Tensor Copied<T>(
        ReadOnlySpan<T> values, ReadOnlySpan<long> sizes, ScalarType? dtype, Device device, bool requires_grad, string[] names)
        where T : unmanaged =>
        Copied(ref Unsafe.As<T, byte>(ref MemoryMarshal.GetReference(values)), typeof(T), values.Length, sizes, dtype, device, requires_grad, names);

    internal static Tensor Copied(
        Array values, ReadOnlySpan<long> sizes, ScalarType? dtype, Device device, bool requires_grad, string[] names) =>
        Copied(
            ref MemoryMarshal.GetArrayDataReference(values), values.GetType().GetElementType(), values.LongLength, sizes, dtype, device, requires_grad, names);

    private static unsafe Tensor Copied(
        ref byte values, Type type, long count, ReadOnlySpan<long> sizes, ScalarType? dtype, Device device, bool requires_grad, string[] names)
    {
        long size = 1;
        foreach (long s in sizes) size *= s;
        if (size != count) throw new ArgumentException($"mismatched total size creating a tensor from an array: {size} vs. {count}");

        device = InitializeDevice(device);
        ScalarType from = TypeOf(type);
        RawTensor copy = Ops.Raw("empty.memory_format", sizes.ToArray(), from, Argument.Default, CPU);
        long bytes = count * from.ElementSize();
        if (bytes > 0)
            fixed (byte* source = &values) Buffer.MemoryCopy(source, (void*)Native.Check(Native.st_tensor_data(copy.Handle)), bytes, bytes);
        return Finished(Moved(copy, dtype, device), requires_grad, names);
    }

    // Takes over a tensor in the CPU's memory and gives it in another dtype or on another device.
    private static Tensor Moved(RawTensor made, ScalarType? dtype, Device device)
    {
        if (dtype is null && device.type == DeviceType.CPU) return made.Wrap();
        using (made) return Ops.Tensor("to.dtype_layout", made, dtype, Argument.Default, device);
    }

    private static long[] Lengths(Array array)
    {
        var lengths = new long[array.Rank];
        for (int i = 0; i < lengths.Length; i++) lengths[i] = array.GetLongLength(i);
        return lengths;
    }

    private static ScalarType TypeOf(Array array) => TypeOf(array.GetType().GetElementType());

    private static ScalarType TypeOf(Type type) =>
        ScalarTypes.Of(type) ?? throw new NotSupportedException($"a tensor cannot hold elements of type {type.Name}");
}
