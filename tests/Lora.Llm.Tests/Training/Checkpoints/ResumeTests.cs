using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using Lora.Optimization;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Checkpoints;

/// <summary>A training that was stopped and goes on gives, bit for bit, what one gives that was not stopped.</summary>
[Collection(Alone.Name)]
public sealed class ResumeTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly JsonlDataset Data = TinyData.Copying(24), HeldOut = TinyData.Copying(7, first: 40);

    private static readonly TrainingOptions Plain = new() { Steps = 11, BatchSize = 5, LearningRate = 1e-2, EvaluationInterval = 2 };

    private static readonly Dictionary<string, TrainingOptions> Settings = new()
    {
        ["plain"] = Plain,
        ["accumulated, with warm-up and groups"] = Plain with { GradientAccumulation = 3, Schedule = ScheduleKind.Cosine, WarmupSteps = 4, UpRatio = 4, WeightDecay = 0.1, MaxGradientNorm = 0.3 },
        ["packed"] = Plain with { PackedLength = 24, BatchSize = 2, GradientAccumulation = 2 },
        ["TorchSharp's AdamW"] = Plain with { Optimizer = groups => optim.AdamW(groups.ForAdamW(beta1: 0.8)), UpRatio = 2 },
        ["SGD with momentum"] = Plain with { Optimizer = groups => optim.SGD(groups.ForSgd(momentum: 0.9), 1e-2), GradientAccumulation = 2 },
        ["with a loss scale"] = Plain with { LossScale = 64, LossScaleInterval = 4 },
    };

    public static TheoryData<string> Names => [.. Settings.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_stopped_training_goes_on_as_if_it_had_not_been(string name)
    {
        using var folder = new TemporaryFolder();
        Outcome whole = Run(Settings[name], folder["whole"], stopAfter: null);
        Assert.Null(whole.Result!.ResumedFrom);
        Assert.Null(Run(Settings[name], folder["parts"], stopAfter: 7).Result);
        Outcome second = Run(Settings[name], folder["parts"], stopAfter: null);

        Assert.Equal(6, second.Result!.ResumedFrom);
        Assert.Equal(Text(whole.Result.Steps.Skip(6)), Text(second.Result.Steps));
        Assert.Equal(whole.Result.EvaluationLossBefore, second.Result.EvaluationLossBefore);
        Assert.Equal(whole.Result.Tokens, second.Result.Tokens);
        Assert.Equal((whole.Result.BestStep, whole.Result.BestEvaluationLoss), (second.Result.BestStep, second.Result.BestEvaluationLoss));
        Assert.Equal(whole.Numbers, second.Numbers);
        foreach (string file in new[] { "adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder["whole"], "step-11", file)), File.ReadAllBytes(Path.Combine(folder["parts"], "step-11", file)));
    }

    [Fact]
    public void A_preconditioned_optimizer_goes_on_too()
    {
        using var folder = new TemporaryFolder();
        double[] whole = Trained("whole", stopAfter: null);
        Assert.Empty(Trained("parts", stopAfter: 7));
        Assert.Equal(whole, Trained("parts", stopAfter: null));

        double[] Trained(string name, int? stopAfter)
        {
            using LlamaModel model = TinyLlama.Make();
            using LoraModel<LlamaModel> lora = Wrap(model);
            Outcome outcome = Run(lora, Plain with { Optimizer = groups => new PreconditionedOptimizer(new FlatAdamW(groups), lora.Pairs(), new RiemannianPreconditioner()) }, folder[name], stopAfter);
            return outcome.Result is null ? [] : outcome.Numbers;
        }
    }

    [Fact]
    public void A_training_that_is_done_is_done_and_a_constant_rate_can_go_further()
    {
        using var folder = new TemporaryFolder();
        TrainingOptions constant = Plain with { Schedule = ScheduleKind.Constant };
        Outcome whole = Run(constant, folder["whole"], stopAfter: null), first = Run(constant with { Steps = 5 }, folder["parts"], stopAfter: null);
        Outcome again = Run(constant with { Steps = 5 }, folder["parts"], stopAfter: null);
        Assert.Empty(again.Result!.Steps);
        Assert.Equal(5, again.Result.ResumedFrom);
        Assert.Equal(first.Result!.EvaluationLossAfter, again.Result.EvaluationLossAfter);
        Assert.Equal(first.Numbers, again.Numbers);
        // At the end of the shorter one there was an evaluation more, which changes nothing of what is learned.
        Assert.Equal(whole.Numbers, Run(constant, folder["parts"], stopAfter: null).Numbers);
    }

    [Fact]
    public void Frozen_parts_of_the_adapter_come_from_the_checkpoint()
    {
        using var folder = new TemporaryFolder();
        Outcome first = Frozen(folder["parts"], seed: 1, steps: 4), again = Frozen(folder["parts"], seed: 2, steps: 4);
        Assert.Equal(first.Numbers, again.Numbers);

        static Outcome Frozen(string path, long seed, int steps)
        {
            using LlamaModel model = TinyLlama.Make();
            manual_seed(seed);
            using LoraModel<LlamaModel> lora = LoraModel.Wrap(model, Config);
            foreach (AdapterLayer layer in lora.Layers) layer.Layer.Adapter.A.requires_grad = false;
            Outcome outcome = Run(lora, Plain with { Steps = steps }, path, null);
            return outcome with { Numbers = [.. lora.AdapterTensors("default").SelectMany(tensor => TinyLlama.Values(tensor.Value))] };
        }
    }

    private sealed record Outcome(TrainingResult? Result, double[] Numbers);

    private static Outcome Run(TrainingOptions options, string folder, int? stopAfter)
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model, Config with { Dropout = 0.2 });
        // A resumed training does not find the start that it was begun with.
        if (Directory.Exists(folder))
            using (no_grad())
                foreach (Parameter parameter in lora.TrainableParameters()) parameter.add_(0.125);
        rand(3).Dispose();
        return Run(lora, options, folder, stopAfter);
    }

    private static Outcome Run(LoraModel<LlamaModel> lora, TrainingOptions options, string folder, int? stopAfter)
    {
        int threads = get_num_threads();
        set_num_threads(1);
        using var source = new CancellationTokenSource();
        var reports = new Reports(step => { if (step.Step == stopAfter) source.Cancel(); });
        var trainer = new LoraTrainer<LlamaModel>(lora, options with { Checkpoints = new CheckpointOptions(folder) { Interval = 3, KeepBest = false } });
        try
        {
            if (stopAfter is null) return new Outcome(trainer.Train(Data, HeldOut, reports, Token), Numbers(lora));
            Assert.Throws<OperationCanceledException>(() => trainer.Train(Data, HeldOut, reports, source.Token));
            return new Outcome(null, Numbers(lora));
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    private static IEnumerable<string> Text(IEnumerable<TrainingStep> steps) =>
        steps.Select(step => FormattableString.Invariant($"{step.Step} {step.TotalSteps} {step.Loss:R} {step.LearningRate:R} {step.GradientNorm:R} {step.Tokens} {step.EvaluationLoss:R} {step.IsSkipped} {step.LossScale:R}"));
}
