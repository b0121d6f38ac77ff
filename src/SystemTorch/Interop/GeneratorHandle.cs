using System.Runtime.InteropServices.Marshalling;

namespace TorchSharp.Interop;

/// <summary>Passes a generator to a native function as its handle, and keeps it from being finalised before the function has returned.</summary>
[CustomMarshaller(typeof(torch.Generator), MarshalMode.ManagedToUnmanagedIn, typeof(GeneratorHandle))]
internal ref struct GeneratorHandle
{
    private torch.Generator _generator;

    public void FromManaged(torch.Generator generator) => _generator = generator;

    public readonly IntPtr ToUnmanaged() => _generator.Handle;

    public readonly void Free() => GC.KeepAlive(_generator);
}
