namespace Lora.Llm.Training.Checkpoints;

/// <summary>Where a training has come to, beside the tensors. All of it goes into <c>training.json</c>.</summary>
internal sealed class TrainingState
{
    /// <summary>The steps that are done.</summary>
    public int Step { get; set; }

    public long Tokens { get; set; }

    public double ElapsedSeconds { get; set; }

    /// <summary>The time of steps alone.</summary>
    public double LearningSeconds { get; set; }

    public double? EvaluationLossBefore { get; set; }

    public double? EvaluationLoss { get; set; }

    public IReadOnlyDictionary<string, double> EvaluationMetricsBefore { get; set; } = TrainingResult.NoMetrics;

    public IReadOnlyDictionary<string, double> EvaluationMetrics { get; set; } = TrainingResult.NoMetrics;

    public int? BestStep { get; set; }

    public double? BestLoss { get; set; }

    /// <summary>The loss that early stopping compares with.</summary>
    public double? ProgressLoss { get; set; }

    /// <summary>The evaluations in a row without progress.</summary>
    public int StaleEvaluations { get; set; }

    public bool StoppedEarly { get; set; }

    public int SkippedSteps { get; set; }

    public int SkippedInARow { get; set; }

    public double? LossScale { get; set; }

    public int LossScaleGoodSteps { get; set; }

    /// <summary>Takes a new held-out loss in.</summary>
    /// <returns>Whether it is lower than ever.</returns>
    internal bool Take(double loss, EarlyStopping? stopping)
    {
        EvaluationLoss = loss;
        // With its guard off, a loss may be NaN, which is neither lower than another nor not.
        bool isNumber = !double.IsNaN(loss);
        if (isNumber && (ProgressLoss is not double progress || loss < progress - (stopping?.MinDelta ?? 0))) (ProgressLoss, StaleEvaluations) = (loss, 0);
        else StaleEvaluations++;
        StoppedEarly = StaleEvaluations >= stopping?.Patience;
        if (!isNumber || loss >= BestLoss) return false;
        (BestStep, BestLoss) = (Step, loss);
        return true;
    }
}
