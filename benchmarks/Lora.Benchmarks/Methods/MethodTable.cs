using System.Globalization;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Methods;

/// <summary>
/// Compares ways to fine-tune a real pretrained model at the same budget: <c>methods DATA [--steps 200] [--seeds 3] [--part 1 --parts 2]</c>, the latter for one half of the
/// methods. For each the learning rate is chosen by a shorter training,
/// on examples that count for nothing else.
/// </summary>
internal static class MethodTable
{
    private const int ProbeSteps = 30;
    private const int TimedSteps = 15;
    private static readonly double[] _rates = [3e-3, 1e-2];

    internal static void Run(string folder, int steps, int seeds, int part, int parts, TextWriter output)
    {
        set_num_threads(1);
        var data = new MethodData(folder);
        output.WriteLine("| Method | learning rate | held-out loss, mean (min to max) | trained numbers | optimizer state |");
        output.WriteLine("|---|---:|---:|---:|---:|");
        foreach (Method method in Method.All.Where((_, i) => i % parts == part - 1))
        {
            double rate = _rates.MinBy(candidate => Probe(method, data, candidate));
            (double[] losses, long trained, long bytes) = ([], 0, 0);
            for (int seed = 0; seed < seeds; seed++)
            {
                using var run = new MethodRun(method, data, rate, seed);
                run.Train(0, steps, steps);
                losses = [.. losses, run.Evaluate(data.HeldOut)];
                (trained, bytes) = (run.TrainableParameters, run.StateBytes);
            }
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {method.Name} | {rate:0.####} | {losses.Average():F3} ({losses.Min():F3} to {losses.Max():F3}) | {trained:N0} | {bytes / 1024.0:N0} KiB |"));
            output.Flush();
        }
    }

    /// <summary>Compares the times of a step: <c>method-times DATA</c>. The methods take turns, so that what else the machine does meets all alike.</summary>
    internal static void Times(string folder, TextWriter output)
    {
        set_num_threads(1);
        var data = new MethodData(folder);
        MethodRun[] runs = [.. Method.All.Select(method => new MethodRun(method, data, 1e-3, seed: 0))];
        var seconds = runs.Select(_ => new List<double>()).ToArray();
        for (int step = 0; step < TimedSteps; step++)
            for (int i = 0; i < runs.Length; i++) seconds[i].Add(runs[i].Train(step, step + 1, TimedSteps));
        double[] medians = [.. seconds.Select(times => times.Order().ElementAt(times.Count / 2))];
        int plain = Method.All.ToList().FindIndex(method => method.Name == "LoRA");
        output.WriteLine("| Method | a step | LoRA = 1 |");
        output.WriteLine("|---|---:|---:|");
        for (int i = 0; i < runs.Length; i++)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {Method.All[i].Name} | {medians[i] * 1000:F0} ms | {medians[i] / medians[plain]:F2} |"));
        foreach (MethodRun run in runs) run.Dispose();
    }

    private static double Probe(Method method, MethodData data, double rate)
    {
        using var run = new MethodRun(method, data, rate, seed: 100);
        run.Train(0, ProbeSteps, ProbeSteps);
        double loss = run.Evaluate(data.Choosing);
        return double.IsFinite(loss) ? loss : double.MaxValue;
    }
}
