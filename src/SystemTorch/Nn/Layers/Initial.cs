using TorchSharp.Interop;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>New tensors with the values that layers start with.</summary>
internal static class Initial
{
    /// <summary>Kaiming's uniform distribution with a = √5, as linear layers and convolutions use it: within 1/√fan_in.</summary>
    internal static Tensor KaimingUniform(long[] shape, long fanIn, Device device, ScalarType? dtype) =>
        Uniform(shape, fanIn > 0 ? 1 / Math.Sqrt(fanIn) : 0, device, dtype);

    internal static Tensor Uniform(long[] shape, double bound, Device device, ScalarType? dtype) =>
        Filled(shape, device, dtype, tensor => Ops.InPlace("uniform_", tensor, -bound, bound));

    internal static Tensor Normal(long[] shape, Device device, ScalarType? dtype) =>
        Filled(shape, device, dtype, tensor => Ops.InPlace("normal_", tensor));

    internal static Tensor Full(long[] shape, double value, Device device, ScalarType? dtype) =>
        Filled(shape, device, dtype, tensor => Ops.InPlace("fill_.Scalar", tensor, value));

    private static Tensor Filled(long[] shape, Device device, ScalarType? dtype, Action<Tensor> fill)
    {
        ScalarType type = dtype ?? (ScalarType)Native.Check(Native.st_default_dtype());
        device = InitializeDevice(device);
        using IDisposable _ = no_grad();
        // libtorch 1.13 draws no random float16 on a CPU.
        if (type == ScalarType.Float16 && device.type == DeviceType.CPU)
        {
            using Tensor single = Filled(shape, device, ScalarType.Float32, fill);
            return Ops.Tensor("to.dtype", single, type);
        }
        Tensor tensor = Ops.Tensor("empty.memory_format", shape, type, Argument.None, device);
        fill(tensor);
        return tensor;
    }
}
