using static TorchSharp.torch;

namespace TorchSharp;

public static partial class TensorExtensionMethods
{
    public static int ElementSize(this ScalarType type) => type switch
    {
        ScalarType.Byte or ScalarType.Int8 or ScalarType.Bool => 1,
        ScalarType.Int16 or ScalarType.Float16 or ScalarType.BFloat16 => 2,
        ScalarType.Int32 or ScalarType.Float32 => 4,
        ScalarType.Int64 or ScalarType.Float64 or ScalarType.ComplexFloat32 => 8,
        ScalarType.ComplexFloat64 => 16,
        _ => throw new NotSupportedException($"{type} has no fixed element size"),
    };

    public static long TotalSize(this IEnumerable<long> shape)
    {
        long count = 1;
        foreach (long s in shape) count *= s;
        return count;
    }

    public static Tensor ToTensor<T>(this T scalar, Device device = null, bool requires_grad = false)
        where T : struct => Copied(new[] { scalar }, [], null, device, requires_grad, null);

    public static Tensor ToTensor<T>(this T[] rawArray, long[] dimensions, bool doCopy = false, bool requires_grad = false) =>
        Copied(rawArray, dimensions, null, null, requires_grad, null);
}
