using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>What an argument or a result of a boxed call is; mirrors Kind in native/system_torch.cpp.</summary>
internal enum ValueKind
{
    Default, None, Tensor, Int, Double, Bool, IntList, TensorList, DoubleList, Device, String, Generator, BoolList
}

/// <summary>One argument or result of a boxed call; mirrors Value in native/system_torch.cpp.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeValue
{
    internal ValueKind Kind;
    internal int Count;
    internal long Bits;
}
