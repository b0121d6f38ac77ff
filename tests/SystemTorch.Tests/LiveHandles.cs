using TorchSharp.Interop;

namespace SystemTorch.Tests;

/// <summary>Counts native tensor handles. Tests that use it share a collection that runs alone.</summary>
internal static class LiveHandles
{
    /// <summary>How many handles the action leaves behind, without the help of the garbage collector.</summary>
    internal static long LeftBy(Action action)
    {
        Collect(); // what earlier tests dropped must not be released meanwhile
        long before = Native.st_live_handles();
        action();
        return Native.st_live_handles() - before;
    }

    private static void Collect()
    {
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }
}

[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
