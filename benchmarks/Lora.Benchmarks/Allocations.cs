using System.Reflection;
using TorchSharp;

namespace Lora.Benchmarks;

/// <summary>What libtorch allocates on the CPU.</summary>
internal static class Allocations
{
    private static readonly Type _native = typeof(torch).Assembly.GetType("TorchSharp.Interop.Native") ?? throw new NotSupportedException("Only SystemTorch tells how much memory was allocated.");

    /// <summary>The bytes that are allocated at the most while something runs, beside those that were there before.</summary>
    public static long Peak(Action step)
    {
        step();
        Native("st_count_allocations", 1);
        long before = (long)Native("st_allocated_now")!;
        Native("st_reset_peak");
        step();
        long peak = (long)Native("st_allocated_peak")! - before;
        Native("st_count_allocations", 0);
        return peak;
    }

    private static object? Native(string name, params object[] arguments) => _native.GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!.Invoke(null, arguments);
}
