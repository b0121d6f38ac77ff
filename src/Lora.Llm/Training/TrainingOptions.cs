using Lora.Optimization;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>How an adapter is trained.</summary>
public sealed record TrainingOptions
{
    /// <summary>The number of optimizer steps; null trains <see cref="Epochs"/>.</summary>
    /// <value>Null by default.</value>
    public int? Steps { get; init; }

    /// <summary>How often every example is seen, when <see cref="Steps"/> is null.</summary>
    /// <value>1 by default.</value>
    public double Epochs { get; init; } = 1;

    /// <summary>The number of examples of one forward pass.</summary>
    /// <value>8 by default.</value>
    public int BatchSize { get; init; } = 8;

    /// <summary>
    /// The number of batches whose gradients are added before each step. Every learned token counts the same, however the batches are cut. A step may reach into the next epoch; the last one of
    /// <see cref="Epochs"/> takes the batches that are left.
    /// </summary>
    /// <value>1 by default.</value>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>The learning rate after the warm-up.</summary>
    /// <value>2e-4 by default.</value>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>The steps in which the rate rises from 0.</summary>
    /// <value>0 by default.</value>
    public int WarmupSteps { get; init; }

    /// <summary>How the rate goes on after the warm-up.</summary>
    /// <value><see cref="ScheduleKind.Linear"/> by default.</value>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Linear;

    /// <summary>The decoupled weight decay of matrices. Vectors (biases, magnitudes, scales of norms) have none.</summary>
    /// <value>0 by default.</value>
    public double WeightDecay { get; init; }

    /// <summary>How many times <see cref="LearningRate"/> is the rate of B and of vectors (LoRA+, <see cref="GroupOptions.UpRatio"/>).</summary>
    /// <value>1 by default.</value>
    public double UpRatio { get; init; } = 1;

    /// <summary>
    /// Makes the optimizer over the groups of parameters that are given, whose rates the schedule then scales, step by step. The trainer disposes it. With checkpoints it must be one of TorchSharp, one of
    /// this library or an <see cref="ISavableOptimizer"/>.
    /// </summary>
    /// <value>Null by default: <see cref="FlatAdamW"/> with its own defaults.</value>
    public Func<IReadOnlyList<ParameterGroup>, optim.Optimizer>? Optimizer { get; init; }

    /// <summary>
    /// The scale that a <see cref="LossScaler"/> begins with, for models in float16; 65536 is usual. Steps whose gradients overflow are left out, counted and reported. Null does not scale, which is
    /// right for float32 and bfloat16.
    /// </summary>
    /// <value>Null by default.</value>
    public double? LossScale { get; init; }

    /// <summary>After how many good steps in a row the loss scale is doubled.</summary>
    /// <value>2000 by default.</value>
    public int LossScaleInterval { get; init; } = 2000;

    /// <summary>The largest norm of all gradients together; 0 does not clip.</summary>
    /// <value>1 by default.</value>
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Whether batches are made of examples of like length.</summary>
    /// <value>True by default.</value>
    public bool GroupByLength { get; init; } = true;

    /// <summary>
    /// The number of tokens of a row into which several short examples are packed, so that hardly anything is padded; they do not see each other, and losses and gradients are as without.
    /// <see cref="BatchSize"/> then counts rows, and <see cref="GroupByLength"/> does not matter. Null does not pack.
    /// </summary>
    /// <value>Null by default.</value>
    public int? PackedLength { get; init; }

    /// <summary>What fills the shorter examples of a batch. It is masked out, so any token does.</summary>
    /// <value>0 by default.</value>
    public int PadTokenId { get; init; }

    /// <summary>The number of examples of one forward pass in evaluation.</summary>
    /// <value>32 by default.</value>
    public int EvaluationBatchSize { get; init; } = 32;

    /// <summary>Evaluates the held-out examples after every so many steps; 0 does so at the end alone.</summary>
    /// <value>0 by default.</value>
    public int EvaluationInterval { get; init; }

    /// <summary>The seed of the order of examples and of dropout.</summary>
    /// <value>42 by default.</value>
    public long Seed { get; init; } = 42;

    /// <summary>Ends the training when the held-out loss falls no more; null trains to the end.</summary>
    /// <value>Null by default.</value>
    public EarlyStopping? EarlyStopping { get; init; }

    /// <summary>Where the training is written down so that it can go on; null does not.</summary>
    /// <value>Null by default.</value>
    public CheckpointOptions? Checkpoints { get; init; }

    /// <summary>Whether the adapter gets the numbers of the checkpoint with the lowest held-out loss at the end.</summary>
    /// <value>False by default.</value>
    public bool LoadBestAtEnd { get; init; }

    /// <summary>What stops the training with the reason. <c>TrainingGuards.All &amp; ~TrainingGuards.FrozenWeights</c> turns one off.</summary>
    /// <value>All by default.</value>
    public TrainingGuards Guards { get; init; } = TrainingGuards.All;

    /// <summary>Checks all settings.</summary>
    /// <exception cref="ArgumentException">One is out of range; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        Check(Steps is null or >= 1, nameof(Steps), "at least 1", Steps);
        Check(Steps is not null || (Epochs > 0 && double.IsFinite(Epochs)), nameof(Epochs), "above 0", Epochs);
        Check(BatchSize >= 1, nameof(BatchSize), "at least 1", BatchSize);
        Check(GradientAccumulation >= 1, nameof(GradientAccumulation), "at least 1", GradientAccumulation);
        Check(LearningRate > 0 && double.IsFinite(LearningRate), nameof(LearningRate), "above 0", LearningRate);
        Check(WarmupSteps >= 0, nameof(WarmupSteps), "0 or above", WarmupSteps);
        Check(Enum.IsDefined(Schedule), nameof(Schedule), "one of its names", Schedule);
        Check(WeightDecay >= 0 && double.IsFinite(WeightDecay), nameof(WeightDecay), "0 or above", WeightDecay);
        Check(MaxGradientNorm >= 0 && double.IsFinite(MaxGradientNorm), nameof(MaxGradientNorm), "0 or above", MaxGradientNorm);
        Check(EvaluationBatchSize >= 1, nameof(EvaluationBatchSize), "at least 1", EvaluationBatchSize);
        Check(EvaluationInterval >= 0, nameof(EvaluationInterval), "0 or above", EvaluationInterval);
        Check(PackedLength is null or >= 2, nameof(PackedLength), "at least 2", PackedLength);
        Check(PadTokenId >= 0, nameof(PadTokenId), "0 or above", PadTokenId);
        Check(UpRatio > 0 && double.IsFinite(UpRatio), nameof(UpRatio), "above 0", UpRatio);
        Check(LossScale is null or (> 0 and <= float.MaxValue), nameof(LossScale), "above 0 and a number of float32", LossScale);
        Check(LossScaleInterval >= 1, nameof(LossScaleInterval), "at least 1", LossScaleInterval);
        Check((Guards & ~TrainingGuards.All) == 0, nameof(Guards), $"of {TrainingGuards.All:F}", Guards);
        if (EarlyStopping is { } stopping)
        {
            Check(stopping.Patience >= 1, $"{nameof(EarlyStopping)}.{nameof(stopping.Patience)}", "at least 1", stopping.Patience);
            Check(stopping.MinDelta >= 0 && double.IsFinite(stopping.MinDelta), $"{nameof(EarlyStopping)}.{nameof(stopping.MinDelta)}", "0 or above", stopping.MinDelta);
            Check(EvaluationInterval != 0, nameof(EvaluationInterval), $"at least 1 with {nameof(EarlyStopping)}", EvaluationInterval);
        }
        if (Checkpoints is { } checkpoints)
        {
            Check(!string.IsNullOrWhiteSpace(checkpoints.Folder), $"{nameof(Checkpoints)}.{nameof(checkpoints.Folder)}", "a folder", $"'{checkpoints.Folder}'");
            Check(checkpoints.Interval >= 1, $"{nameof(Checkpoints)}.{nameof(checkpoints.Interval)}", "at least 1", checkpoints.Interval);
            Check(checkpoints.KeepLast >= 1, $"{nameof(Checkpoints)}.{nameof(checkpoints.KeepLast)}", "at least 1", checkpoints.KeepLast);
        }
        if (LoadBestAtEnd && Checkpoints is not { KeepBest: true }) problems.Add($"{nameof(LoadBestAtEnd)} needs {nameof(Checkpoints)} that keep the best.");
        if (problems.Count > 0) throw new ArgumentException($"The training cannot start:{string.Concat(problems.Select(p => $"\n  - {p}"))}");

        void Check(bool holds, string name, string wanted, object? found)
        {
            if (!holds) problems.Add(FormattableString.Invariant($"{name} must be {wanted}, but is {found}."));
        }
    }
}
