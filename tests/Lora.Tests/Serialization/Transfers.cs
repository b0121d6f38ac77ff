using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

/// <summary>Goes through a buffer to every device, the CPU too, and counts the copies to it.</summary>
internal sealed class CountedTransfer : DeviceTransfer
{
    /// <summary>The bytes of each copy.</summary>
    public List<long> Copies { get; } = [];

    /// <summary>Which copy fails, from 0 on; none where null.</summary>
    public int? FailingCopy { get; init; }

    internal override bool IsStaged(Device device) => true;

    internal override void Copy(Tensor buffer, Tensor onDevice)
    {
        Assert.Equal((DeviceType.CPU, onDevice.device_type == DeviceType.CUDA), (buffer.device_type, buffer.is_pinned()));
        Assert.Equal((buffer.dtype, buffer.numel()), (onDevice.dtype, onDevice.numel()));
        if (Copies.Count == FailingCopy) throw new IOException("The device does not answer.");
        Copies.Add(buffer.numel() * buffer.element_size());
        base.Copy(buffer, onDevice);
    }
}

/// <summary>Goes through a buffer to no device.</summary>
internal sealed class DirectTransfer : DeviceTransfer
{
    internal override bool IsStaged(Device device) => false;

    internal override void Copy(Tensor buffer, Tensor onDevice) => Assert.Fail("There is no buffer to copy.");
}
