using System.Diagnostics;
using System.Globalization;
using Lora.Export;
using static TorchSharp.torch;

namespace Lora.Tests.Export;

/// <summary>Merges whose process is killed, in processes of their own, and run again.</summary>
public sealed class KilledMergeTests(ITestOutputHelper output)
{
    // Names the folder, and the tensor behind which it ends, to the other process, which runs the same test.
    private const string Folder = "LORA_KILLED_MERGE_FOLDER", Tensor = "LORA_KILLED_MERGE_TENSOR";

    // What a shell calls a process that was ended by signal 9.
    private const int Killed = 128 + 9;

    // The files hold four, three and three tensors: within each, and between a file's last tensor and the next file's first.
    private static readonly int[] _places = [1, 4, 5, 7, 9];

    [Fact]
    public void A_killed_merge_goes_on_and_ends_with_the_same_bytes()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The exit code of a killed process is Linux's.");
        if (Environment.GetEnvironmentVariable(Folder) is string given)
        {
            Merge(given, int.Parse(Environment.GetEnvironmentVariable(Tensor)!, CultureInfo.InvariantCulture));
            return;
        }
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        MergeFiles.Model(folder["model"]);
        MergeFiles.Adapter(folder["adapter"]);
        Merge(folder.Path);
        SortedDictionary<string, string> whole = MergeFiles.Bytes(folder["merged"]);

        // Each killed at one place, and then one that is killed at every place.
        foreach (int[] places in _places.Select(place => new[] { place }).Append(_places))
        {
            Directory.Delete(folder["merged"], recursive: true);
            foreach (int place in places)
            {
                Assert.Equal(Killed, Kill(folder.Path, place));
                Assert.False(Directory.Exists(folder["merged"]));
            }
            CheckpointMergeResult result = Merge(folder.Path);
            output.WriteLine($"killed behind tensor {string.Join(", ", places)}: {result.ReusedFiles} files were there");
            Assert.Equal(whole, MergeFiles.Bytes(folder["merged"]));
            Assert.False(Directory.Exists(folder["merged.partial"]));
        }
    }

    private static int Kill(string folder, int tensor)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", typeof(KilledMergeTests).Assembly.Location, "-method", $"{typeof(KilledMergeTests).FullName}.{nameof(A_killed_merge_goes_on_and_ends_with_the_same_bytes)}"])
        {
            RedirectStandardOutput = true,
            Environment = { [Folder] = folder, [Tensor] = tensor.ToString(CultureInfo.InvariantCulture) },
        };
        using Process process = Process.Start(start)!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }

    private static CheckpointMergeResult Merge(string folder, int? killedBehind = null) => CheckpointMerge.Run(
        Path.Combine(folder, "model"), [Path.Combine(folder, "adapter")], Path.Combine(folder, "merged"), progress: new Killer(killedBehind), cancellationToken: TestContext.Current.CancellationToken);

    private sealed class Killer(int? tensor) : IProgress<CheckpointMergeProgress>
    {
        public void Report(CheckpointMergeProgress value)
        {
            if (value.TensorsDone != tensor) return;
            using Process self = Process.GetCurrentProcess();
            self.Kill();
            // The signal may arrive a moment later.
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
