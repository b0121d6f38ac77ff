namespace Lora.Llm;

/// <summary>What a training did.</summary>
/// <param name="Steps">Every step that this call took, in order; those of before a checkpoint that it went on from are not among them.</param>
/// <param name="EvaluationLossBefore">The loss of the held-out examples before the first step, when there are any.</param>
/// <param name="EvaluationLossAfter">The loss of the held-out examples after the last step.</param>
/// <param name="Tokens">The tokens seen, without padding, by all steps of the training.</param>
/// <param name="Elapsed">The time it took, that of before a checkpoint included.</param>
public sealed record TrainingResult(IReadOnlyList<TrainingStep> Steps, double? EvaluationLossBefore, double? EvaluationLossAfter, long Tokens, TimeSpan Elapsed)
{
    internal static readonly IReadOnlyDictionary<string, double> NoMetrics = new Dictionary<string, double>();

    /// <summary>What the objective tells of the held-out examples before the first step.</summary>
    public IReadOnlyDictionary<string, double> EvaluationMetricsBefore { get; init; } = NoMetrics;

    /// <summary>What the objective tells of the held-out examples after the last step.</summary>
    public IReadOnlyDictionary<string, double> EvaluationMetricsAfter { get; init; } = NoMetrics;

    /// <summary>The step of the checkpoint that the training went on from; null where it began anew.</summary>
    public int? ResumedFrom { get; init; }

    /// <summary>Whether <see cref="TrainingOptions.EarlyStopping"/> ended it.</summary>
    public bool StoppedEarly { get; init; }

    /// <summary>The step with the lowest held-out loss, when there was an evaluation.</summary>
    public int? BestStep { get; init; }

    /// <summary>The lowest held-out loss after a step.</summary>
    public double? BestEvaluationLoss { get; init; }

    /// <summary>The steps that were left out since the gradients overflowed under the loss scale.</summary>
    public int SkippedSteps { get; init; }

    /// <summary>What was unusual though no error, such as a checkpoint that was passed over, or examples that are longer than the model's positions.</summary>
    public IReadOnlyList<string> Remarks { get; init; } = [];
}
