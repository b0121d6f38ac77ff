using System.Globalization;

namespace Lora.Fuzzing.Running;

/// <summary>Prints reports, and writes failing inputs to files.</summary>
internal sealed class ReportPrinter(TextWriter output, FuzzTarget target, long seed, string folder)
{
    private const int KindsShown = 60;
    private long _next = 100_000;

    internal void Progress(FuzzReport report)
    {
        if (report.Inputs < _next) return;
        _next += 100_000;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{target.Name}: {report.Inputs} inputs, {report.Accepted} accepted, {report.Rejected} rejected, {report.Inputs / report.Elapsed.TotalSeconds:f0}/s"));
    }

    internal void Print(FuzzReport report)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""

            {target.Name}: {target.Reads}
              seed {seed}, {report.Inputs} inputs ({report.Bytes / 1048576.0:f0} MiB) in {report.Elapsed.TotalSeconds:f0} s, {report.Inputs / report.Elapsed.TotalSeconds:f0}/s: {report.Accepted} accepted, {report.Rejected} rejected, {report.Failed} failed
              managed: at most {100 * report.Managed.Share:f0} % of the limit ({target.FloorBytes >> 10} KiB + {target.BytesPerByte} x size): {report.Managed.Allocated} bytes for a file of {report.Managed.Size} (input {report.Managed.Place}); above the floor at most {report.BytesPerByte:f1} x size
              tensors: above 1 MiB at most {report.NativePerByte:f1} x size
              slowest: {report.Slowest.Time.TotalMilliseconds:f1} ms for a file of {report.Slowest.Size} (input {report.Slowest.Place})
              kinds of rejections: {report.Kinds.Count}
            """));
        foreach ((string kind, long count) in report.Kinds.OrderByDescending(pair => pair.Value).Take(KindsShown)) output.WriteLine($"  {count,9} {kind}");
        foreach (FuzzFailure failure in report.Failures) Failure(failure);
    }

    internal void Failure(FuzzFailure failure)
    {
        string path = Path.Combine(folder, $"{target.Name}-{seed}-{failure.Place}.bin");
        File.WriteAllBytes(path, failure.Input);
        output.WriteLine($"""

            FAILED {target.Name}, input {failure.Place}, made of {failure.Seed}: {failure.Problem}
              the input is in {path}; again: dotnet run -c Release --project tests/Fuzzing -- --target {target.Name} --seed {seed} --first {failure.Place} --count 1
            """);
    }
}
