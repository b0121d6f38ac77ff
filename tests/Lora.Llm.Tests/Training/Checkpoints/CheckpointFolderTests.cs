using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using Lora.Llm.Training.Checkpoints;
using Lora.Optimization;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Checkpoints;

/// <summary>What is in the folder of checkpoints, and what happens when something is wrong with it.</summary>
[Collection(Alone.Name)]
public sealed class CheckpointFolderTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly JsonlDataset Data = TinyData.Copying(16);
    private static readonly JsonlDataset HeldOut = TinyData.Read(null, [.. Enumerable.Range(0, 5).Select(i => $$"""{"prompt": "{{"defgh"[i..]}}=", "completion": "{{"zzyyx"[i..]}}"}""")]);
    private static readonly TrainingOptions Plain = new() { Steps = 6, BatchSize = 4, LearningRate = 1e-2 };

    [Fact]
    public void The_last_ones_are_kept_and_hold_a_loadable_adapter()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder[".tmp-step-9-left"]);
        File.WriteAllText(Path.Combine(folder[".tmp-step-9-left"], "half"), "");
        double[] numbers = Train(folder.Path, Plain, interval: 2, out _);
        Assert.Equal([".lock", "step-4", "step-6"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "training.json"], Directory.EnumerateFiles(folder["step-6"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = LoraModel.Load(model, folder["step-6"]);
        Assert.Equal(numbers, lora.AdapterTensors("default").SelectMany(tensor => TinyLlama.Values(tensor.Value)));
    }

    [Fact]
    public void The_best_is_kept_however_old_and_can_be_loaded_at_the_end()
    {
        using var folder = new TemporaryFolder();
        // What is held out contradicts what is learned, so that its loss soon rises.
        TrainingOptions wild = Plain with { Steps = 12, LearningRate = 0.05, EvaluationInterval = 1, Schedule = ScheduleKind.Constant };
        Train(folder["plain"], wild, interval: 5, out TrainingResult plain);
        int best = plain.Steps.MinBy(step => step.EvaluationLoss)!.Step;
        Assert.InRange(best, 1, 8);
        Assert.Equal((best, plain.Steps[best - 1].EvaluationLoss), (plain.BestStep, plain.BestEvaluationLoss));
        Assert.Equal(new[] { best, 10, 12 }.Order(), CheckpointFolder.StepsIn(folder["plain"]));

        double[] numbers = Train(folder["loaded"], wild with { LoadBestAtEnd = true }, interval: 5, out _);
        Assert.Equal(Train(folder["short"], wild with { Steps = best }, interval: 5, out _), numbers);
    }

    [Fact]
    public void Training_ends_early_when_the_held_out_loss_falls_no_more()
    {
        using var folder = new TemporaryFolder();
        TrainingOptions wild = Plain with { Steps = 30, LearningRate = 0.3, EvaluationInterval = 1, EarlyStopping = new EarlyStopping(Patience: 3) };
        Train(folder.Path, wild, interval: 100, out TrainingResult result);
        Assert.True(result.StoppedEarly);
        Assert.Equal(result.BestStep + 3, result.Steps.Count);
        Assert.Equal([result.BestStep!.Value, result.Steps.Count], CheckpointFolder.StepsIn(folder.Path));
        Train(folder.Path, wild, interval: 100, out TrainingResult again);
        Assert.True(again.StoppedEarly && again.Steps.Count == 0);

        // A fall that is too small is none: then the first evaluation is the only progress.
        Train(folder["delta"], wild with { EarlyStopping = new EarlyStopping(2, MinDelta: 1000) }, interval: 100, out TrainingResult strict);
        Assert.Equal(3, strict.Steps.Count);
    }

    [Theory]
    [InlineData("optimizer.safetensors", "optimizer.safetensors holds other bytes than were written")]
    [InlineData("training.json", "training.json holds other bytes than were written")]
    [InlineData("adapter_config.json", null)]
    [InlineData("all", "training.json is missing")]
    public void A_checkpoint_that_is_not_whole_is_passed_over_with_its_reason(string damaged, string? reason)
    {
        using var folder = new TemporaryFolder();
        double[] whole = Train(folder.Path, Plain, interval: 2, out _);
        string file = Path.Combine(folder["step-6"], damaged);
        if (damaged == "all") File.Delete(Path.Combine(folder["step-6"], "training.json"));
        else if (reason is null) File.Delete(file);
        else Flip(file);
        reason ??= $"{damaged} is missing";

        Assert.Equal(whole, Train(folder.Path, Plain, interval: 2, out TrainingResult result));
        Assert.Equal(4, result.ResumedFrom);
        Assert.Equal([$"The checkpoint '{folder["step-6"]}' is not whole and was passed over: {reason}."], result.Remarks);
        CheckpointFolder.Read(folder["step-6"]); // made anew
    }

    [Fact]
    public void A_damaged_checkpoint_that_was_asked_for_is_an_error_and_so_is_a_folder_without_a_whole_one()
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path, Plain, interval: 2, out _);
        Flip(Path.Combine(folder["step-4"], "adapter_model.safetensors"));
        var asked = Assert.Throws<InvalidDataException>(() => Train(new CheckpointOptions(folder.Path) { ResumeFrom = folder["step-4"] }, Plain, out _));
        Assert.Equal($"The checkpoint '{folder["step-4"]}' is not whole: adapter_model.safetensors holds other bytes than were written.", asked.Message);
        Assert.Equal($"There is no checkpoint '{folder["step-2"]}'.", Assert.Throws<DirectoryNotFoundException>(() => Train(new CheckpointOptions(folder.Path) { ResumeFrom = folder["step-2"] }, Plain, out _)).Message);

        File.WriteAllText(Path.Combine(folder["step-6"], "training.json"), """{"sha256": "", "training": {"format": 2}}""");
        var none = Assert.Throws<InvalidOperationException>(() => Train(folder.Path, Plain, interval: 2, out _));
        Assert.Equal(
            $"""
            '{folder.Path}' holds checkpoints, but none that is whole:
              - The checkpoint '{folder["step-6"]}' is not whole and was passed over: training.json is of the form 2, but this version reads 1.
              - The checkpoint '{folder["step-4"]}' is not whole and was passed over: adapter_model.safetensors holds other bytes than were written.
            Delete them to begin anew, or give another folder.
            """.ReplaceLineEndings("\n"), none.Message);
    }

    [Fact]
    public void A_chosen_older_checkpoint_leads_to_the_same_end()
    {
        using var folder = new TemporaryFolder();
        double[] whole = Train(folder.Path, Plain, interval: 2, out _);
        Assert.Equal(whole, Train(new CheckpointOptions(folder.Path) { Interval = 2, ResumeFrom = folder["step-4"] }, Plain, out TrainingResult result));
        Assert.Equal(4, result.ResumedFrom);
    }

    [Fact]
    public void Everything_that_contradicts_the_checkpoint_is_listed()
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path, Plain, interval: 2, out _);
        using LlamaModel model = TinyLlama.Make(seed: 8);
        using LoraModel<LlamaModel> lora = Wrap(model, Config with { Rank = 2, Dropout = 0.5 });
        double[] before = Numbers(lora);
        var trainer = new LoraTrainer<LlamaModel>(lora, Plain with { Seed = 7, BatchSize = 3, LearningRate = 5e-3, Steps = 9, Checkpoints = new CheckpointOptions(folder.Path) });
        var error = Assert.Throws<InvalidOperationException>(() => trainer.Train(HeldOut, cancellationToken: Token));
        string[] lines = error.Message.Split('\n');
        Assert.Equal($"The training cannot go on from '{folder["step-6"]}', which is that of another training:", lines[0]);
        Assert.Equal("Give what it was begun with, or another folder of checkpoints to begin anew.", lines[^1]);
        Assert.Equal(
            [
                "  - BatchSize: 3 here, 4 in the checkpoint", "  - LearningRate: 0.005 here, 0.01 in the checkpoint", "  - Seed: 7 here, 42 in the checkpoint",
                "  - lora_dropout of adapter 'default': 0.5 here, 0.0 in the checkpoint", "  - r of adapter 'default': 2 here, 3 in the checkpoint", "  - the base weights: ", "  - the data: 5 examples with the hash ",
                "  - the number of steps: 9 here, 6 in the checkpoint",
            ],
            lines[1..^1].Where(line => !line.Contains("the optimizer", StringComparison.Ordinal)).Select(line => line.Contains("base weights", StringComparison.Ordinal) || line.Contains("hash", StringComparison.Ordinal)
                ? line[..(line.IndexOf(": ", StringComparison.Ordinal) + 2)] + (line.Contains("hash", StringComparison.Ordinal) ? "5 examples with the hash " : "") : line));
        Assert.Contains("  - the optimizer: FlatAdamW over rate 0.005 + rate 0.005, 28 parameters here, FlatAdamW over rate 0.01 + rate 0.01, 28 parameters in the checkpoint", lines);
        Assert.Equal(before, Numbers(lora));
    }

    [Fact]
    public void A_folder_is_of_one_training_and_without_resuming_empty()
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path, Plain, interval: 2, out _);
        var refused = Assert.Throws<InvalidOperationException>(() => Train(new CheckpointOptions(folder.Path) { Resume = false }, Plain, out _));
        Assert.Equal($"'{folder.Path}' holds checkpoints up to step 6: set CheckpointOptions.Resume to go on from them, delete them, or give another folder.", refused.Message);
        using (CheckpointStore.Open(new CheckpointOptions(folder.Path), (_, _) => { }))
        {
            var used = Assert.Throws<IOException>(() => Train(folder.Path, Plain, interval: 2, out _));
            Assert.StartsWith($"The folder of checkpoints '{folder.Path}' is in use by another training, or cannot be written: give each training a folder of its own. (", used.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_optimizer_that_cannot_save_itself_is_refused_at_the_start()
    {
        using var folder = new TemporaryFolder();
        TrainingOptions own = Plain with { Optimizer = groups => new Forgetful(groups) };
        var error = Assert.Throws<NotSupportedException>(() => Train(folder["checkpoints"], own, interval: 2, out _));
        Assert.Equal("A Forgetful cannot save its state, so a training with it could not go on from a checkpoint: implement ISavableOptimizer on it, use FlatAdamW or an optimizer of TorchSharp, or train without checkpoints.", error.Message);
        Assert.False(Directory.Exists(folder["checkpoints"]));
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        Assert.Equal(6, new LoraTrainer<LlamaModel>(lora, own).Train(Data, cancellationToken: Token).Steps.Count);
    }

    [Fact]
    public void Trainings_with_checkpoints_leave_nothing_behind()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        Leaks.AssertNone(2, () =>
        {
            using var folder = new TemporaryFolder();
            var options = Plain with { EvaluationInterval = 2, LossScale = 8, Checkpoints = new CheckpointOptions(folder.Path) { Interval = 2 }, LoadBestAtEnd = true };
            for (int i = 0; i < 2; i++) new LoraTrainer<LlamaModel>(lora, options).Train(Data, HeldOut, cancellationToken: Token);
        });
    }

    private static double[] Train(string folder, TrainingOptions options, int interval, out TrainingResult result) => Train(new CheckpointOptions(folder) { Interval = interval }, options, out result);

    private static double[] Train(CheckpointOptions checkpoints, TrainingOptions options, out TrainingResult result)
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        result = new LoraTrainer<LlamaModel>(lora, options with { Checkpoints = checkpoints }).Train(Data, options.EvaluationInterval > 0 ? HeldOut : null, cancellationToken: Token);
        return Numbers(lora);
    }

    private static void Flip(string file)
    {
        byte[] bytes = File.ReadAllBytes(file);
        // In JSON a digit for a digit, so that it still parses.
        int place = file.EndsWith(".json", StringComparison.Ordinal) ? Array.LastIndexOf(bytes, (byte)'6') : bytes.Length - 3;
        bytes[place] ^= 1;
        File.WriteAllBytes(file, bytes);
    }

    private sealed class Forgetful(IReadOnlyList<ParameterGroup> groups) : optim.Optimizer(IntPtr.Zero)
    {
        private readonly optim.Optimizer _inner = optim.SGD(groups.ForSgd(), 1e-2);

        public override IEnumerable<optim.ILearningRateController> ParamGroups => _inner.ParamGroups;

        public override void zero_grad() => _inner.zero_grad();

        public override Tensor step(Func<Tensor> closure = null!) => _inner.step(closure);

        public override IEnumerable<Parameter> parameters() => _inner.parameters();

        protected override void Dispose(bool disposing)
        {
            if (disposing) _inner.Dispose();
            base.Dispose(disposing);
        }
    }

    [Fact]
    public void A_training_that_ended_early_goes_on_with_more_patience()
    {
        using var folder = new TemporaryFolder();
        TrainingOptions wild = Plain with { Steps = 30, LearningRate = 0.3, EvaluationInterval = 1, EarlyStopping = new EarlyStopping(Patience: 2) };
        Train(folder["same"], wild, interval: 100, out TrainingResult first);
        Assert.True(first.StoppedEarly);
        Train(folder["same"], wild, interval: 100, out TrainingResult again);
        Assert.Equal((first.Steps.Count, true, 0), (again.ResumedFrom, again.StoppedEarly, again.Steps.Count));

        TrainingOptions patient = wild with { EarlyStopping = new EarlyStopping(Patience: 4) };
        double[] resumed = Train(folder["same"], patient, interval: 100, out TrainingResult rest), whole = Train(folder["whole"], patient, interval: 100, out TrainingResult all);
        Assert.Equal(first.Steps.Count, rest.ResumedFrom);
        Assert.InRange(rest.Steps.Count, 1, 29);
        Assert.Equal(all.Steps.Count, first.Steps.Count + rest.Steps.Count);
        Assert.Equal(whole, resumed);
    }

    // 4 batches an epoch, 3 at a step: the last step takes the one that is left, or, in two epochs, 3 and then 2.
    [Fact]
    public void Epochs_that_end_within_a_step_are_not_made_longer()
    {
        using var folder = new TemporaryFolder();
        TrainingOptions one = Plain with { Steps = null, Epochs = 1, GradientAccumulation = 3, Schedule = ScheduleKind.Constant };
        double[] ended = Train(folder["same"], one, interval: 1, out TrainingResult first);
        Assert.Equal(2, first.Steps.Count);
        Assert.Equal(ended, Train(folder["same"], one, interval: 1, out TrainingResult again));
        Assert.Equal((2, 0), (again.ResumedFrom, again.Steps.Count));
        var error = Assert.Throws<InvalidOperationException>(() => Train(folder["same"], one with { Epochs = 2 }, interval: 1, out _));
        Assert.Equal(
            $"The training cannot go on from '{Path.Combine(folder["same"], "step-2")}', where another number of epochs ended: its step 2 took 1 batch, and takes 3 here. Set CheckpointOptions.ResumeFrom to an earlier checkpoint, or give another folder to begin anew.",
            error.Message);

        TrainingOptions two = one with { Epochs = 2 };
        double[] longer = Train(new CheckpointOptions(folder["same"]) { Interval = 1, ResumeFrom = Path.Combine(folder["same"], "step-1") }, two, out TrainingResult rest);
        Assert.Equal((1, 2), (rest.ResumedFrom, rest.Steps.Count));
        Assert.Equal(Train(folder["whole"], two, interval: 1, out _), longer);
    }

    [Fact]
    public void A_file_in_the_place_of_the_folder_is_told()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["file"], "");
        var error = Assert.Throws<IOException>(() => Train(folder["file"], Plain, interval: 2, out _));
        Assert.StartsWith($"The folder of checkpoints '{folder["file"]}' is in use by another training, or cannot be written: give each training a folder of its own. (", error.Message, StringComparison.Ordinal);
    }

    // On a full disk, what is half written would take the room that is needed.
    [Fact]
    public void A_checkpoint_that_cannot_be_written_leaves_nothing_behind()
    {
        using var folder = new TemporaryFolder();
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        TrainingOptions options = Plain with { Checkpoints = new CheckpointOptions(folder.Path) { Interval = 2 } };
        var trainer = new LoraTrainer<LlamaModel>(lora, options)
        {
            OnPhase = (phase, step) =>
            {
                if (phase == TrainingPhase.FileWritten && step == 4) throw new IOException("No space left on device");
            },
        };
        Assert.Equal("No space left on device", Assert.Throws<IOException>(() => trainer.Train(Data, cancellationToken: Token)).Message);
        Assert.Equal([".lock", "step-2"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }
}
