using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static Tensor arange(Scalar stop, ScalarType? dtype = null, Device device = null, bool requires_grad = false) =>
        Stepped(0, stop, 1, dtype, device, requires_grad);

    public static Tensor arange(Scalar start, Scalar stop, ScalarType? dtype = null, Device device = null, bool requires_grad = false) =>
        Stepped(start, stop, 1, dtype, device, requires_grad);

    public static Tensor arange(
        Scalar start, Scalar stop, Scalar step, ScalarType? dtype = null, Device device = null, bool requires_grad = false) =>
        Stepped(start, stop, step, dtype, device, requires_grad);

    public static Tensor linspace(
        double start, double end, long steps, ScalarType? dtype = null, Device device = null, bool requires_grad = false) =>
        Finished(Ops.Tensor("linspace", start, end, steps, dtype ?? get_default_dtype(), Argument.Default, InitializeDevice(device)), requires_grad);

    public static Tensor logspace(
        double start, double end, long steps, double @base = 10, ScalarType? dtype = null, Device device = null, bool requires_grad = false) =>
        Finished(Ops.Tensor("logspace", start, end, steps, @base, dtype ?? get_default_dtype(), Argument.Default, InitializeDevice(device)), requires_grad);

    public static Tensor eye(
        long rows, long columns = -1, ScalarType? dtype = null, Device device = null, bool requires_grad = false, string[] names = null)
    {
        ScalarType type = dtype ?? get_default_dtype();
        Device on = InitializeDevice(device);
        long[] shape = [rows, columns < 0 ? rows : columns];
        if (type != ScalarType.BFloat16) return Finished(Ops.Tensor("eye.m", shape[0], shape[1], type, Argument.Default, on), requires_grad, names);
        // libtorch 1.13 has no bfloat16 kernel of it for the CPU.
        using RawTensor single = Ops.Raw("eye.m", shape[0], shape[1], ScalarType.Float32, Argument.Default, on);
        return Finished(Ops.Tensor("to.dtype", single, type), requires_grad, names);
    }

    public static Tensor empty_strided(
        long[] size, long[] strides, ScalarType? dtype = null, Device device = null, bool requires_grad = false, string[] names = null) =>
        Finished(
            Ops.Tensor("empty_strided", size, strides, dtype ?? get_default_dtype(), Argument.Default, InitializeDevice(device)), requires_grad, names);

    // Without a dtype libtorch takes int64 when all three are whole numbers, the default dtype otherwise.
    private static Tensor Stepped(Scalar start, Scalar stop, Scalar step, ScalarType? dtype, Device device, bool requires_grad) =>
        Finished(Ops.Tensor("arange.start_step", start, stop, step, dtype, Argument.Default, InitializeDevice(device)), requires_grad);
}
