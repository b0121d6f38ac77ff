using System.Runtime.InteropServices.Marshalling;

namespace TorchSharp.Interop;

/// <summary>
/// Passes a tensor to a native function as its handle (null as a null pointer), and keeps it from being finalised before the function has returned.
/// </summary>
[CustomMarshaller(typeof(torch.Tensor), MarshalMode.ManagedToUnmanagedIn, typeof(TensorHandle))]
internal ref struct TensorHandle
{
    private torch.Tensor _tensor;

    public void FromManaged(torch.Tensor tensor) => _tensor = tensor;

    public readonly IntPtr ToUnmanaged() => _tensor is null ? IntPtr.Zero : _tensor.Handle;

    public readonly void Free() => GC.KeepAlive(_tensor);
}
