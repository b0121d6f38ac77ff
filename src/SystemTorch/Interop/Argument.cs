using static TorchSharp.torch;

namespace TorchSharp.Interop;

/// <summary>
/// One argument of <see cref="Ops"/>: anything an ATen schema knows, by implicit conversion. <c>null</c> is the schema's None;
/// <see cref="Default"/> leaves the argument to the schema's default.
/// </summary>
internal readonly struct Argument
{
    internal readonly ValueKind Kind;
    internal readonly long Bits;
    internal readonly object Reference;

    private Argument(ValueKind kind, long bits, object reference = null)
    {
        Kind = kind;
        Bits = bits;
        Reference = reference;
    }

    internal static Argument Default => default;

    internal static Argument None => new(ValueKind.None, 0);

    public static implicit operator Argument(Tensor t) => t is null ? None : new(ValueKind.Tensor, t.Handle, t);

    public static implicit operator Argument(RawTensor t) => new(ValueKind.Tensor, t.Handle);

    public static implicit operator Argument(long value) => new(ValueKind.Int, value);

    public static implicit operator Argument(int value) => new(ValueKind.Int, value);

    public static implicit operator Argument(double value) => new(ValueKind.Double, BitConverter.DoubleToInt64Bits(value));

    public static implicit operator Argument(bool value) => new(ValueKind.Bool, value ? 1 : 0);

    public static implicit operator Argument(long? value) => value is long v ? v : None;

    public static implicit operator Argument(double? value) => value is double v ? v : None;

    public static implicit operator Argument(bool? value) => value is bool v ? v : None;

    public static implicit operator Argument(ScalarType value) => new(ValueKind.Int, (long)value);

    public static implicit operator Argument(ScalarType? value) => value is ScalarType v ? v : None;

    public static implicit operator Argument(Scalar value) => value is null ? None : new(value.Kind, value.Bits);

    public static implicit operator Argument(long[] values) => values is null ? None : new(ValueKind.IntList, 0, values);

    public static implicit operator Argument(double[] values) => values is null ? None : new(ValueKind.DoubleList, 0, values);

    public static implicit operator Argument(bool[] values) => values is null ? None : new(ValueKind.BoolList, 0, values);

    public static implicit operator Argument(Tensor[] values) => values is null ? None : new(ValueKind.TensorList, 0, values);

    public static implicit operator Argument(string value) => value is null ? None : new(ValueKind.String, 0, System.Text.Encoding.UTF8.GetBytes(value));

    public static implicit operator Argument(Device value) => value is null ? None : new(ValueKind.Device, value.Packed);

    public static implicit operator Argument(Generator value) => value is null ? None : new(ValueKind.Generator, value.Handle, value);

    /// <summary>The bytes that the list or string of this argument takes in the buffer of a call.</summary>
    internal int BufferSize => Kind switch
    {
        ValueKind.IntList => ((long[])Reference).Length * sizeof(long),
        ValueKind.DoubleList => ((double[])Reference).Length * sizeof(double),
        ValueKind.TensorList => ((Tensor[])Reference).Length * sizeof(long),
        ValueKind.BoolList => Aligned(((bool[])Reference).Length),
        ValueKind.String => Aligned(((byte[])Reference).Length),
        _ => 0,
    };

    private static int Aligned(int bytes) => (bytes + 7) & ~7;

    /// <summary>Writes this argument, its list into <paramref name="buffer"/>, and moves the buffer on.</summary>
    internal unsafe void Write(NativeValue* target, ref byte* buffer)
    {
        target->Kind = Kind;
        target->Bits = Bits;
        target->Count = 0;
        switch (Kind)
        {
            case ValueKind.IntList:
                Copy<long>((long[])Reference, target, ref buffer);
                break;
            case ValueKind.DoubleList:
                Copy<double>((double[])Reference, target, ref buffer);
                break;
            case ValueKind.BoolList:
                Copy<bool>((bool[])Reference, target, ref buffer);
                break;
            case ValueKind.String:
                Copy<byte>((byte[])Reference, target, ref buffer);
                break;
            case ValueKind.TensorList:
                var tensors = (Tensor[])Reference;
                var handles = (long*)buffer;
                for (int i = 0; i < tensors.Length; i++) handles[i] = tensors[i] is null ? 0 : tensors[i].Handle;
                target->Count = tensors.Length;
                target->Bits = (long)buffer;
                buffer += tensors.Length * sizeof(long);
                break;
        }
    }

    private static unsafe void Copy<T>(ReadOnlySpan<T> values, NativeValue* target, ref byte* buffer)
        where T : unmanaged
    {
        values.CopyTo(new Span<T>(buffer, values.Length));
        target->Count = values.Length;
        target->Bits = (long)buffer;
        buffer += Aligned(values.Length * sizeof(T));
    }

    /// <summary>Keeps the tensors of this argument from being finalised before the native call has returned.</summary>
    internal void KeepAlive() => GC.KeepAlive(Reference);
}
