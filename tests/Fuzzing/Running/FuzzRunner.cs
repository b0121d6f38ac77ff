using System.Diagnostics;

namespace Lora.Fuzzing.Running;

/// <summary>Feeds a target with inputs and holds it to its promises.</summary>
/// <param name="target">The reader.</param>
/// <param name="seed">The same seed gives the same inputs.</param>
internal sealed class FuzzRunner(FuzzTarget target, long seed)
{
    private const int MostFailures = 20;

    // Room for messages of torch and tables that it fills at first use.
    private const long NativeFloor = 1 << 20;
    private const int NativePerByte = 8;

    private readonly Stopwatch _clock = new();

    /// <summary>Told before each input, by its number.</summary>
    internal Action<long>? Starting { get; init; }

    /// <summary>Told after each input.</summary>
    internal Action<FuzzReport>? Done { get; init; }

    /// <summary>The input of a number.</summary>
    internal (FuzzSeed Seed, byte[] Input) Make(long place)
    {
        FuzzRandom random = FuzzRandom.Of(seed, place);
        FuzzSeed chosen = random.Pick(target.Seeds);
        return (chosen, target.Mutate(chosen, random));
    }

    /// <summary>Runs the inputs from one number to another.</summary>
    internal FuzzReport Run(long count, long first = 0)
    {
        var report = new FuzzReport { Target = target.Name };
        using var native = new NativeBytes();
        long begun = Stopwatch.GetTimestamp();
        CheckSeeds(report, native);
        for (long place = first; place < first + count && report.Failures.Count < MostFailures; place++)
        {
            Starting?.Invoke(place);
            (FuzzSeed made, byte[] input) = Make(place);
            Feed(report, native, place, made, input);
            report.Elapsed = Stopwatch.GetElapsedTime(begun);
            Done?.Invoke(report);
        }
        return report;
    }

    // A harness whose valid files were refused would prove nothing. It also runs all code once, which allocates for itself.
    private void CheckSeeds(FuzzReport report, NativeBytes native)
    {
        foreach (FuzzSeed valid in target.Seeds)
        {
            var alone = new FuzzReport { Target = target.Name };
            Feed(alone, native, -1, valid, valid.Bytes);
            if (alone.Rejected > 0) report.Fail(new FuzzFailure(-1, valid.Name, valid.Bytes, $"the seed was refused: {alone.Kinds.Keys.Single()}"), valid.Name);
            foreach (FuzzFailure failure in alone.Failures.Where(failure => !failure.Problem.Contains("allocated", StringComparison.Ordinal))) report.Fail(failure, failure.Problem);
        }
    }

    private void Feed(FuzzReport report, NativeBytes native, long place, FuzzSeed made, byte[] input)
    {
        report.Inputs++;
        report.Bytes += input.Length;
        long nativeBefore = native.Begin(), before = GC.GetAllocatedBytesForCurrentThread();
        _clock.Restart();
        Exception? thrown = Catch(() => target.Read(made, input));
        TimeSpan time = _clock.Elapsed;
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before, tensors = native.PeakAbove(nativeBefore), left = native.LeftAbove(nativeBefore);

        if (time > report.Slowest.Time) report.Slowest = (time, input.Length, place);
        double share = allocated / (target.FloorBytes + ((double)target.BytesPerByte * input.Length));
        if (share > report.Managed.Share) report.Managed = (share, allocated, input.Length, place);
        report.BytesPerByte = Math.Max(report.BytesPerByte, (allocated - target.FloorBytes) / Math.Max(1.0, input.Length));
        report.NativePerByte = Math.Max(report.NativePerByte, (tensors - NativeFloor) / Math.Max(1.0, input.Length));

        string? problem = Problem(thrown);
        if (share > 1) problem ??= $"{allocated} managed bytes were allocated for a file of {input.Length}";
        if (tensors > NativeFloor + ((long)NativePerByte * input.Length)) problem ??= $"tensors of {tensors} bytes were allocated for a file of {input.Length}";
        if (left > 0 && thrown is not null) problem ??= $"tensors of {left} bytes were left behind by a file that was refused";
        if (problem is not null) report.Fail(new FuzzFailure(place, made.Name, input, problem), ErrorText.Kind(problem, target.PlaceName));
        else if (thrown is null) report.Accepted++;
        else report.Count(ErrorText.Kind(thrown, target.PlaceName));
    }

    private string? Problem(Exception? thrown) => thrown switch
    {
        null => null,
        _ when !target.IsRejection(thrown) => $"{thrown.GetType().Name} is no rejection, {Origin(thrown)}: {thrown}",
        _ when ErrorText.Missing(thrown.Message, target.PlaceName) is string missing => $"the message lacks {missing}: {thrown.GetType().Name}: {thrown.Message}",
        _ => null,
    };

    // The first method of the library on the stack.
    private static string Origin(Exception thrown) => thrown.StackTrace?.Split('\n').FirstOrDefault(line => line.Contains("Lora.", StringComparison.Ordinal))?.Trim().Split('(')[0] ?? "from nowhere";

    // Everything is caught, since an exception of any other type than those that are documented is what is looked for.
    private static Exception? Catch(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (Exception exception)
        {
            return exception;
        }
    }
}
