using TorchSharp;

namespace Lora.Tests;

/// <summary>Checks that doing something again and again keeps no tensor alive. Native handles belong to the whole process: such tests run <see cref="Alone"/>.</summary>
internal static class Leaks
{
    /// <summary>Runs an action a few times to warm up, then <paramref name="count"/> times, after which as many tensors must live as before.</summary>
    public static void AssertNone(int count, Action action)
    {
        for (int i = 0; i < 3; i++) action();
        // What earlier tests dropped must not be released meanwhile, which would hide a leak.
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        (long Managed, long Native) before = Alive();
        for (int i = 0; i < count; i++) action();
        Assert.Equal(before, Alive());
    }

    private static (long Managed, long Native) Alive() => (DisposeScopeManager.Statistics.ThreadTotalLiveCount, LiveHandles.Count);
}

/// <summary>The collection of tests beside which no other test runs.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
