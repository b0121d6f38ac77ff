using System.Runtime.InteropServices;

namespace Lora.Benchmarks;

/// <summary>The loops of benchmarks/native/operator_calls.cpp; each makes as many calls as it is told.</summary>
internal sealed unsafe class NativeCalls
{
    private const string FileName = "libOperatorCalls.so";

    private NativeCalls(IntPtr library)
    {
        IntPtr Find(string name) => NativeLibrary.GetExport(library, name);
        Add = (delegate* unmanaged<long, void>)Find("add_direct");
        AddBoxed = (delegate* unmanaged<long, void>)Find("add_boxed");
        AddInPlace = (delegate* unmanaged<long, void>)Find("add_in_place_direct");
        AddInPlaceBoxed = (delegate* unmanaged<long, void>)Find("add_in_place_boxed");
        View = (delegate* unmanaged<long, void>)Find("view_direct");
        ViewBoxed = (delegate* unmanaged<long, void>)Find("view_boxed");
    }

    public delegate* unmanaged<long, void> Add { get; }

    public delegate* unmanaged<long, void> AddBoxed { get; }

    public delegate* unmanaged<long, void> AddInPlace { get; }

    public delegate* unmanaged<long, void> AddInPlaceBoxed { get; }

    public delegate* unmanaged<long, void> View { get; }

    public delegate* unmanaged<long, void> ViewBoxed { get; }

    public static NativeCalls Load()
    {
        string path = Path.Combine(AppContext.BaseDirectory, FileName);
        return File.Exists(path)
            ? new NativeCalls(NativeLibrary.Load(path))
            : throw new FileNotFoundException($"There is no {FileName} beside the benchmarks: start them by benchmarks/run.sh, which compiles it.", path);
    }
}
