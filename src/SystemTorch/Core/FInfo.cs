namespace TorchSharp;

public static partial class torch
{
    public static FInfo finfo() => finfo(get_default_dtype());

    /// <summary>The limits of a floating-point dtype.</summary>
    public static FInfo finfo(ScalarType dtype) => dtype switch
    {
        ScalarType.Float16 => Of(16, 10, -14, 15, 1e-3),
        ScalarType.BFloat16 => Of(16, 7, -126, 127, 1e-2),
        ScalarType.Float32 => Of(32, 23, -126, 127, 1e-6),
        ScalarType.Float64 => Of(64, 52, -1022, 1023, 1e-15),
        _ => throw new ArgumentException($"{dtype} is no floating-point type"),
    };

    // From the bits of the fraction and the smallest and largest exponent of a normal number.
    private static FInfo Of(int bits, int fraction, int smallest, int largest, double resolution)
    {
        double eps = double.ScaleB(1, -fraction), max = double.ScaleB(2 - eps, largest), tiny = double.ScaleB(1, smallest);
        return new FInfo { bits = bits, eps = eps, max = max, min = -max, tiny = tiny, smallest_normal = tiny, resolution = resolution };
    }

    public struct FInfo
    {
        public int bits;
        public double eps;
        public double max;
        public double min;
        public double tiny;
        public double smallest_normal;
        public double resolution;
    }
}
