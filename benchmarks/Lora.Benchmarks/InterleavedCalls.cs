using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>
/// Least and median times of the calls of <see cref="OperatorCallBenchmarks"/>, C++ and C# in turns of a fraction of a millisecond: other
/// work on the machine interrupts few of them, and slows both sides alike.
/// </summary>
internal static unsafe class InterleavedCalls
{
    private const int Rounds = 5000;
    private const int Calls = 100;

    public static void Run(TextWriter output)
    {
        NativeCalls native = NativeCalls.Load();
        using Tensor left = ones(8), right = zeros(8);

        output.WriteLine("| Call | C++ | C++, boxed | C# | C#, in a dispose scope | C# above C++ |");
        output.WriteLine("|---|---:|---:|---:|---:|---:|");
        Report("add", () => native.Add(Calls), () => native.AddBoxed(Calls), () => OperatorCallBenchmarks.Add(left, right, Calls));
        Report("add_", () => native.AddInPlace(Calls), () => native.AddInPlaceBoxed(Calls), () => OperatorCallBenchmarks.AddInPlace(left, right, Calls));
        Report("view", () => native.View(Calls), () => native.ViewBoxed(Calls), () => OperatorCallBenchmarks.View(left, Calls));

        void Report(string name, Action cpp, Action boxed, Action managed)
        {
            Action scoped = () =>
            {
                using DisposeScope scope = NewDisposeScope();
                managed();
            };
            double[][] times = Times(cpp, boxed, managed, scoped);
            output.WriteLine($"| {name} | {string.Join(" | ", times.Select(Shown))} | {Shown([times[2][0] - times[0][0], Median(times[2]) - Median(times[0])])} |");
        }
    }

    // Nanoseconds a call, sorted.
    private static double[][] Times(params Action[] sides)
    {
        var times = new double[sides.Length][];
        for (int side = 0; side < sides.Length; side++)
        {
            times[side] = new double[Rounds];
            for (int i = 0; i < 1000; i++) sides[side](); // until everything is compiled to the end
        }

        for (int round = 0; round < Rounds; round++)
        {
            for (int side = 0; side < sides.Length; side++)
            {
                long start = Stopwatch.GetTimestamp();
                sides[side]();
                times[side][round] = Stopwatch.GetElapsedTime(start).TotalNanoseconds / Calls;
            }
        }

        foreach (double[] side in times) Array.Sort(side);
        return times;
    }

    private static string Shown(double[] sorted) => FormattableString.Invariant($"{sorted[0]:F0} / {Median(sorted):F0} ns");

    private static double Median(double[] sorted) => sorted[sorted.Length / 2];
}
