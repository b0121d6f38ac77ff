using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static Tensor randint(long high, long[] size, ScalarType? dtype = null, Device device = null, bool requires_grad = false, Generator generator = null, string[] names = null) =>
        Integers(0, high, size, dtype, device, requires_grad, generator, names);

    public static Tensor randint(long low, long high, long[] size, ScalarType? dtype = null, Device device = null, bool requires_grad = false, Generator generator = null, string[] names = null) =>
        Integers(low, high, size, dtype, device, requires_grad, generator, names);

    public static Tensor randint(int high, int[] size, ScalarType? dtype = null, Device device = null, bool requires_grad = false, Generator generator = null, string[] names = null) =>
        Integers(0, high, Wide(size), dtype, device, requires_grad, generator, names);

    public static Tensor randint(int low, int high, int[] size, ScalarType? dtype = null, Device device = null, bool requires_grad = false, Generator generator = null, string[] names = null) =>
        Integers(low, high, Wide(size), dtype, device, requires_grad, generator, names);

    public static Tensor randint(long high, Size size, ScalarType? dtype = null, Device device = null, bool requires_grad = false, Generator generator = null, string[] names = null) =>
        Integers(0, high, size.Shape, dtype, device, requires_grad, generator, names);

    public static Tensor randint(long low, long high, Size size, ScalarType? dtype = null, Device device = null, bool requires_grad = false, Generator generator = null, string[] names = null) =>
        Integers(low, high, size.Shape, dtype, device, requires_grad, generator, names);

    public static Tensor randperm(long n, ScalarType? dtype = null, Device device = null, bool requires_grad = false, Generator generator = null)
    {
        Device on = InitializeDevice(device);
        return Finished(
            generator is null
                ? Ops.Tensor("randperm", n, dtype ?? ScalarType.Int64, Argument.Default, on)
                : Ops.Tensor("randperm.generator", n, generator, dtype ?? ScalarType.Int64, Argument.Default, on),
            requires_grad);
    }

    public static Tensor normal(double mean, double std, ReadOnlySpan<long> size, ScalarType? dtype = null, Device device = null, bool requires_grad = false, Generator generator = null, string[] names = null)
    {
        Tensor made = empty(size, dtype, device, names: names);
        return Finished(Ops.InPlace("normal_", made, mean, std, generator), requires_grad);
    }

    private static Tensor Integers(
        long low, long high, long[] size, ScalarType? dtype, Device device, bool requires_grad, Generator generator, string[] names)
    {
        Device on = InitializeDevice(device);
        return Finished(
            generator is null
                ? Ops.Tensor("randint.low", low, high, size, dtype ?? ScalarType.Int64, Argument.Default, on)
                : Ops.Tensor("randint.low_generator", low, high, size, generator, dtype ?? ScalarType.Int64, Argument.Default, on),
            requires_grad, names);
    }

    private static long[] Wide(int[] size) => Array.ConvertAll(size, s => (long)s);
}
