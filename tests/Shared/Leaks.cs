using TorchSharp;

namespace Lora.Tests;

/// <summary>Checks that doing something again and again keeps no tensor alive. Native handles belong to the whole process: such tests run <see cref="Alone"/>.</summary>
internal static class Leaks
{
    private const int Attempts = 3;

    /// <summary>Runs an action a few times to warm up, then <paramref name="count"/> times, after which as many tensors must live as before.</summary>
    public static void AssertNone(int count, Action action)
    {
        for (int i = 0; i < 3; i++) action();
        // What earlier tests dropped may be released meanwhile, after all the collecting. That happens once; a leak shows every time.
        ((long, long) before, (long, long) after) = Measure(count, action);
        for (int attempt = 1; attempt < Attempts && after != before; attempt++) (before, after) = Measure(count, action);
        Assert.Equal(before, after);
    }

    private static ((long Managed, long Native) Before, (long Managed, long Native) After) Measure(int count, Action action)
    {
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        (long, long) before = Alive();
        for (int i = 0; i < count; i++) action();
        return (before, Alive());
    }

    private static (long Managed, long Native) Alive() => (DisposeScopeManager.Statistics.ThreadTotalLiveCount, LiveHandles.Count);
}

/// <summary>The collection of tests beside which no other test runs.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
