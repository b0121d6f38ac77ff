using System.Reflection;
using TorchSharp;

namespace Lora.Tests;

/// <summary>How much memory an action allocates at the most, beside what is there before. Allocations belong to the whole process: such tests run <see cref="Alone"/>.</summary>
internal static class AllocatedMemory
{
    private static readonly Type? _native = typeof(torch).Assembly.GetType("TorchSharp.Interop.Native");

    /// <summary>Measures in bytes; the test is skipped where that cannot be.</summary>
    public static long PeakOf(Action action)
    {
        Assert.SkipWhen(_native is null || TestDevice.Current.type != DeviceType.CPU, "Only SystemTorch tells how much memory was allocated on the CPU.");
        Native("st_count_allocations", 1);
        try
        {
            long before = (long)Native("st_allocated_now")!;
            Native("st_reset_peak");
            action();
            return (long)Native("st_allocated_peak")! - before;
        }
        finally
        {
            Native("st_count_allocations", 0);
        }
    }

    private static object? Native(string name, params object[] arguments) => _native!.GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!.Invoke(null, arguments);
}
