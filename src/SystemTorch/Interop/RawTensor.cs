using static TorchSharp.torch;

namespace TorchSharp.Interop;

/// <summary>A native tensor inside one method: no dispose scope sees it and no statistics count it. Ends in Dispose or in Wrap.</summary>
internal readonly struct RawTensor(IntPtr handle) : IDisposable
{
    internal IntPtr Handle { get; } = handle;

    /// <summary>Makes it a managed tensor, which owns the handle from here on.</summary>
    internal Tensor Wrap() => Tensor.Wrap(Handle);

    public void Dispose() => Native.st_tensor_delete(Handle);
}
