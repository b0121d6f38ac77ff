using System.Globalization;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Methods;

/// <summary>
/// Compares ways to fine-tune a real pretrained model at the same budget: <c>methods DATA [--steps 200] [--seeds 3]</c>. For each the learning rate is chosen by a shorter training,
/// on examples that count for nothing else.
/// </summary>
internal static class MethodTable
{
    private const int ProbeSteps = 60;
    private const int TimedSteps = 15;
    private static readonly double[] _rates = [1e-3, 3e-3, 1e-2];

    internal static void Run(string folder, int steps, int seeds, TextWriter output, TextWriter progress)
    {
        set_num_threads(1);
        var data = new MethodData(folder);
        var rows = new List<Row>();
        foreach (Method method in Method.All)
        {
            double rate = _rates.MinBy(candidate => Probe(method, data, candidate));
            (double[] losses, long trained, long bytes) = ([], 0, 0);
            for (int seed = 0; seed < seeds; seed++)
            {
                using var run = new MethodRun(method, data, rate, seed);
                run.Train(0, steps, steps);
                losses = [.. losses, run.Evaluate(data.HeldOut)];
                (trained, bytes) = (run.TrainableParameters, run.StateBytes);
                progress.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{method.Name}, rate {rate}, seed {seed}: {losses[^1]:F4}"));
            }
            rows.Add(new Row(method, rate, losses, trained, bytes));
        }
        double[] seconds = Times(rows, data);
        output.WriteLine("| Method | learning rate | held-out loss, mean (min to max) | trained numbers | optimizer state | time of a step, LoRA = 1 |");
        output.WriteLine("|---|---:|---:|---:|---:|---:|");
        double plain = seconds[rows.FindIndex(row => row.Method.Name == "LoRA")];
        for (int i = 0; i < rows.Count; i++)
        {
            Row row = rows[i];
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {row.Method.Name} | {row.Rate:0.####} | {row.Losses.Average():F3} ({row.Losses.Min():F3} to {row.Losses.Max():F3}) | {row.Trained:N0} | {row.Bytes / 1024.0:N0} KiB | {seconds[i] / plain:F2} ({seconds[i] * 1000:F0} ms) |"));
        }
    }

    private static double Probe(Method method, MethodData data, double rate)
    {
        using var run = new MethodRun(method, data, rate, seed: 100);
        run.Train(0, ProbeSteps, ProbeSteps);
        double loss = run.Evaluate(data.Choosing);
        return double.IsFinite(loss) ? loss : double.MaxValue;
    }

    // In turns, so that what else the machine does meets all alike.
    private static double[] Times(List<Row> rows, MethodData data)
    {
        MethodRun[] runs = [.. rows.Select(row => new MethodRun(row.Method, data, row.Rate, seed: 0))];
        var seconds = runs.Select(_ => new List<double>()).ToArray();
        for (int step = 0; step < TimedSteps; step++)
            for (int i = 0; i < runs.Length; i++) seconds[i].Add(runs[i].Train(step, step + 1, TimedSteps));
        foreach (MethodRun run in runs) run.Dispose();
        return [.. seconds.Select(times => times.Order().ElementAt(times.Count / 2))];
    }

    private sealed record Row(Method Method, double Rate, double[] Losses, long Trained, long Bytes);
}
