using System.Diagnostics;
using System.Globalization;
using Lora.Export;
using static TorchSharp.torch;

namespace Lora.Tests.Export;

/// <summary>A merge of 200 MB in a process of its own, which notes how much memory it had at most.</summary>
public sealed class MergeMemoryTests(ITestOutputHelper output)
{
    // Names the folder to the other process, which runs the same test.
    private const string Variable = "LORA_MERGE_FOLDER";

    [Fact]
    public void Memory_is_far_less_than_the_model()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The memory of a process is read from /proc.");
        if (Environment.GetEnvironmentVariable(Variable) is string given)
        {
            Measure(given);
            return;
        }
        using var folder = new TemporaryFolder();
        Write(folder.Path);
        var start = new ProcessStartInfo("dotnet", ["exec", typeof(MergeMemoryTests).Assembly.Location, "-method", $"{typeof(MergeMemoryTests).FullName}.{nameof(Memory_is_far_less_than_the_model)}"]) { RedirectStandardOutput = true };
        start.Environment[Variable] = folder.Path;
        using (Process process = Process.Start(start)!)
        {
            string said = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, said);
        }
        long[] kilobytes = [.. File.ReadAllText(folder["memory.txt"]).Split(' ').Select(number => long.Parse(number, CultureInfo.InvariantCulture))];
        output.WriteLine($"{kilobytes[0]} kB before, {kilobytes[1]} kB at most");
        Assert.InRange(kilobytes[1] - kilobytes[0], 1, 100_000);
    }

    // Four files of 50 MB.
    private static void Write(string folder)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors = Enumerable.Range(0, 16).ToDictionary(layer => $"model.layers.{layer}.q_proj.weight", layer => full([2560, 2440], 0.01 * (layer + 1), dtype: ScalarType.BFloat16));
        MergeFiles.Save(Path.Combine(folder, "model"), tensors, files: 4);
        MergeFiles.Adapter(Path.Combine(folder, "adapter"), "\"target_modules\":[\"q_proj\"]", [.. tensors.Keys.SelectMany((name, i) => MergeFiles.Pair(name[..^".weight".Length], i, 2560, 2440))]);
    }

    private static void Measure(string folder)
    {
        // What the libraries take when they are first used does not count.
        using (var small = new TemporaryFolder())
        {
            MergeFiles.Model(small["model"]);
            MergeFiles.Adapter(small["adapter"]);
            Merge(small.Path);
        }
        long before = Anonymous(), most = before;
        using var done = new ManualResetEventSlim();
        var watch = new Thread(() =>
        {
            do most = Math.Max(most, Anonymous());
            while (!done.Wait(2));
        });
        watch.Start();
        Merge(folder);
        done.Set();
        watch.Join();
        File.WriteAllText(Path.Combine(folder, "memory.txt"), string.Create(CultureInfo.InvariantCulture, $"{before} {most}"));
    }

    private static void Merge(string folder) => Assert.NotEmpty(
        CheckpointMerge.Run(Path.Combine(folder, "model"), [Path.Combine(folder, "adapter")], Path.Combine(folder, "merged"), cancellationToken: TestContext.Current.CancellationToken).Tensors);

    private static long Anonymous() => long.Parse(File.ReadLines("/proc/self/status").Single(line => line.StartsWith("RssAnon:", StringComparison.Ordinal)).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
}
