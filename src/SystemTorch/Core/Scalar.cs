using TorchSharp.Interop;
using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>A number for an operator. Unlike the package's it needs no native object.</summary>
public sealed class Scalar : IDisposable
{
    internal ValueKind Kind { get; }

    internal long Bits { get; }

    private Scalar(ValueKind kind, long bits, ScalarType type)
    {
        Kind = kind;
        Bits = bits;
        Type = type;
    }

    public ScalarType Type { get; }

    public static implicit operator Scalar(byte value) => Integer(value);

    public static implicit operator Scalar(sbyte value) => Integer(value);

    public static implicit operator Scalar(short value) => Integer(value);

    public static implicit operator Scalar(int value) => Integer(value);

    public static implicit operator Scalar(long value) => Integer(value);

    public static implicit operator Scalar(float value) => Real(value);

    public static implicit operator Scalar(double value) => Real(value);

    public static implicit operator Scalar(Half value) => Real((double)value);

    public static implicit operator Scalar(bool value) => new(ValueKind.Bool, value ? 1 : 0, ScalarType.Bool);

    public void Dispose()
    {
    }

    /// <summary>The scalar of an element of <paramref name="type"/>, from the bits that an operator returned.</summary>
    internal static Scalar Of(ScalarType type, long bits) =>
        type == ScalarType.Bool ? bits != 0 : is_floating_point(type) ? new Scalar(ValueKind.Double, bits, ScalarType.Float64) : Integer(bits);

    private static Scalar Integer(long value) => new(ValueKind.Int, value, ScalarType.Int64);

    private static Scalar Real(double value) => new(ValueKind.Double, BitConverter.DoubleToInt64Bits(value), ScalarType.Float64);

    internal double AsDouble => Kind == ValueKind.Double ? BitConverter.Int64BitsToDouble(Bits) : Bits;
}
