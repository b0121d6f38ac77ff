using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>Fills tensors from a file. What lies on a CUDA device gets its numbers through one buffer: a copy to the device for as many tensors as the buffer holds, instead of one for each.</summary>
/// <remarks>
/// <para>Each copy to the device waits until it is over, so hundreds of small ones cost more than their bytes. The buffer has the type that the tensors have in the file, since TorchSharp
/// cannot look at bytes as numbers of another type; other types are converted on the device.</para>
/// <para>The tests go this way with the CPU in the device's place. On CUDA it has not been run yet, nor timed.</para>
/// </remarks>
internal class DeviceTransfer
{
    internal static DeviceTransfer Usual { get; } = new();

    /// <summary>
    /// The size of the buffer at most, both here and on the device: a load takes no more memory than that beside the adapter and one tensor. A copy of so much takes about a millisecond at PCIe's rates, beside which
    /// the wait for it is nothing, so that a larger buffer would gain no time; but the memory here is pinned, which is slow to get, and which torch keeps for the next load. A tensor that is larger goes alone.
    /// </summary>
    internal int BufferBytes { get; init; } = 1 << 25;

    /// <summary>Whether tensors of a device are filled through a buffer.</summary>
    /// <remarks>On the CPU the file's bytes are copied to where they belong, which nothing can beat. Of other devices it is not known: MPS has no float64 into which a buffer could go.</remarks>
    internal virtual bool IsStaged(Device device) => device.type == DeviceType.CUDA;

    /// <summary>Copies the buffer, or the beginning of it, to the device.</summary>
    internal virtual void Copy(Tensor buffer, Tensor onDevice) => onDevice.copy_(buffer);

    /// <summary>Gives every tensor the numbers of its counterpart in the file, which has its shape.</summary>
    internal void Fill(IEnumerable<(AdapterTensor Stored, Tensor Target)> tensors)
    {
        using var noGrad = no_grad();
        var staged = new List<(AdapterTensor Stored, Tensor Target)>();
        foreach ((AdapterTensor stored, Tensor target) in tensors)
        {
            // A type that torch lacks is refused on the direct way.
            if (IsStaged(target.device) && stored.ByteCount is > 0 && stored.ByteCount <= BufferBytes && stored.Type.ToScalarType() is not null) staged.Add((stored, target));
            else stored.CopyTo(target);
        }
        foreach (var alike in staged.GroupBy(pair => (pair.Stored.Type, pair.Target.device.ToString()))) FillThroughBuffer([.. alike], alike.Key.Type.ToScalarType()!.Value);
    }

    // Of one type in the file, and of one device.
    private void FillThroughBuffer((AdapterTensor Stored, Tensor Target)[] tensors, ScalarType type)
    {
        using var scope = NewDisposeScope();
        Device device = tensors[0].Target.device;
        long elementBytes = tensors[0].Stored.Type.BitsPerElement() / 8;
        long length = Math.Min(BufferBytes, tensors.Sum(pair => pair.Stored.ByteCount)) / elementBytes;
        Tensor buffer = empty(length, type), onDevice = empty(length, type, device);
        // TorchSharp makes pinned memory out of other memory only.
        if (device.type == DeviceType.CUDA) buffer = buffer.pin_memory();
        for (int first = 0, next; first < tensors.Length; first = next)
        {
            using var piece = NewDisposeScope();
            Span<byte> free = buffer.bytes;
            for (next = first; next < tensors.Length && tensors[next].Stored.ByteCount <= free.Length; next++) free = tensors[next].Stored.CopyBytesTo(free);
            long used = length - (free.Length / elementBytes), start = 0;
            // The buffer can be filled anew at once: the copy has been waited for.
            Copy(buffer.narrow(0, 0, used), onDevice.narrow(0, 0, used));
            foreach ((AdapterTensor stored, Tensor target) in tensors.AsSpan(first..next))
            {
                long count = stored.ByteCount / elementBytes;
                stored.CopyTo(target, onDevice.narrow(0, start, count));
                start += count;
            }
        }
    }
}
