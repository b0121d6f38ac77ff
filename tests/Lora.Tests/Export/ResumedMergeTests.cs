using Lora.Export;
using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Export;

/// <summary>Merges into a folder that are cut short and run again.</summary>
public sealed class ResumedMergeTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public ResumedMergeTests()
    {
        MergeFiles.Model(_folder["model"]);
        MergeFiles.Adapter(_folder["adapter"]);
    }

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    // The files hold four, three and three tensors.
    [Theory]
    [InlineData(1, 0)]
    [InlineData(4, 1)]
    [InlineData(6, 1)]
    [InlineData(7, 2)]
    public void A_run_that_was_cancelled_is_continued(int tensors, int finished)
    {
        CheckpointMergeResult whole = Merge("whole");
        Cancel("merged", tensors);
        Assert.False(Directory.Exists(_folder["merged"]));
        CheckpointMergeResult result = Merge("merged");
        Assert.Equal(finished, result.ReusedFiles);
        Assert.Equal(whole.Tensors, result.Tensors);
        Assert.Equal(MergeFiles.Bytes(_folder["whole"]), MergeFiles.Bytes(_folder["merged"]));
        Assert.False(Directory.Exists(_folder["merged.partial"]));
    }

    [Fact]
    public void What_a_killed_run_leaves_is_cleared_away()
    {
        Merge("whole");
        Cancel("merged", 7);
        string[] files = [.. Directory.EnumerateFiles(_folder["merged.partial"], "*.safetensors").Order(StringComparer.Ordinal)];
        Assert.Equal(2, files.Length);
        File.WriteAllBytes(files[0], File.ReadAllBytes(files[0])[..^1]);
        File.WriteAllText(Path.Combine(_folder["merged.partial"], "merge.lock"), "");
        File.WriteAllText(Path.Combine(_folder["merged.partial"], ".model-00003-of-00003.safetensors.0.tmp"), "half");
        Assert.Equal(1, Merge("merged").ReusedFiles);
        Assert.Equal(MergeFiles.Bytes(_folder["whole"]), MergeFiles.Bytes(_folder["merged"]));
    }

    [Fact]
    public void A_damaged_manifest_is_not_trusted()
    {
        Merge("whole");
        Cancel("merged", 7);
        File.WriteAllText(Path.Combine(_folder["merged.partial"], "merge.manifest.json"), "{");
        Assert.Equal(0, Merge("merged").ReusedFiles);
        Assert.Equal(MergeFiles.Bytes(_folder["whole"]), MergeFiles.Bytes(_folder["merged"]));
    }

    [Fact]
    public void Another_adapter_starts_over()
    {
        Cancel("merged", 7);
        MergeFiles.Adapter(_folder["adapter"], seed: 90);
        Assert.Equal(0, Merge("merged").ReusedFiles);
        Merge("whole");
        Assert.Equal(MergeFiles.Bytes(_folder["whole"]), MergeFiles.Bytes(_folder["merged"]));
    }

    [Fact]
    public void A_base_file_that_changed_is_merged_again()
    {
        Cancel("merged", 7);
        string file = Path.Combine(_folder["model"], "model-00001-of-00003.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        bytes[^2] ^= 1;
        File.WriteAllBytes(file, bytes);
        Assert.Equal(1, Merge("merged").ReusedFiles);
        Merge("whole");
        Assert.Equal(MergeFiles.Bytes(_folder["whole"]), MergeFiles.Bytes(_folder["merged"]));
    }

    [Fact]
    public void Other_sizes_of_files_start_over_and_leave_nothing_of_the_first()
    {
        Cancel("merged", 7);
        CheckpointMergeResult result = Merge("merged", new CheckpointMergeOptions { MaxShardBytes = 200 });
        Assert.Equal(0, result.ReusedFiles);
        Assert.Equal(result.Files, Directory.EnumerateFiles(_folder["merged"], "*.safetensors").Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(["model-00001-of-00005.safetensors", "model-00005-of-00005.safetensors"], [result.Files[0], result.Files[^1]]);
        Merge("whole");
        using SafetensorsSource one = SafetensorsSource.Open(_folder["whole"]), other = SafetensorsSource.Open(_folder["merged"]);
        Assert.Equal(one.Entries.Select(entry => entry.Name).Order(), other.Entries.Select(entry => entry.Name).Order());
        Assert.All(one.Entries, entry => Assert.Equal(one.ReadTensor(entry.Name).bytes.ToArray(), other.ReadTensor(entry.Name).bytes.ToArray()));
    }

    [Fact]
    public void Two_runs_at_once_are_refused()
    {
        Directory.CreateDirectory(_folder["merged.partial"]);
        using var held = new FileStream(Path.Combine(_folder["merged.partial"], "merge.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        Assert.Equal($"'{_folder["merged.partial"]}' is being written by another process.", Assert.Throws<IOException>(() => Merge("merged")).Message);
    }

    private CheckpointMergeResult Merge(string destination, CheckpointMergeOptions? options = null) =>
        CheckpointMerge.Run(_folder["model"], [_folder["adapter"]], _folder[destination], options, cancellationToken: TestContext.Current.CancellationToken);

    private void Cancel(string destination, int tensors)
    {
        using var source = new CancellationTokenSource();
        var progress = new Told(told => { if (told.TensorsDone == tensors) source.Cancel(); });
        Assert.Throws<OperationCanceledException>(() => CheckpointMerge.Run(_folder["model"], [_folder["adapter"]], _folder[destination], null, progress, source.Token));
    }

    private sealed class Told(Action<CheckpointMergeProgress> tell) : IProgress<CheckpointMergeProgress>
    {
        public void Report(CheckpointMergeProgress value) => tell(value);
    }
}
