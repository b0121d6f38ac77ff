namespace Lora.Llm;

/// <summary>What one optimizer step did.</summary>
/// <param name="Step">Its number, from 1.</param>
/// <param name="TotalSteps">The number of steps of the training.</param>
/// <param name="Loss">The mean loss of its learned tokens, before the step.</param>
/// <param name="LearningRate">Its learning rate.</param>
/// <param name="GradientNorm">The norm of all gradients together, before clipping.</param>
/// <param name="Tokens">The tokens it saw, without padding.</param>
/// <param name="Elapsed">The time since the training began.</param>
/// <param name="TokensPerSecond">The speed since the training began, evaluation not counted.</param>
/// <param name="EvaluationLoss">The loss of the held-out examples after this step, when they were evaluated.</param>
public sealed record TrainingStep(
    int Step, int TotalSteps, double Loss, double LearningRate, double GradientNorm, int Tokens, TimeSpan Elapsed, double TokensPerSecond, double? EvaluationLoss)
{
    /// <summary>Whether the optimizer left the step out, since the gradients overflowed under the loss scale.</summary>
    public bool IsSkipped { get; init; }

    /// <summary>What the loss was multiplied by; null without a loss scale.</summary>
    public double? LossScale { get; init; }

    /// <summary>What the objective tells beside the loss, as means over the step, by name.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = TrainingResult.NoMetrics;

    /// <summary>The same over the held-out examples, when they were evaluated.</summary>
    public IReadOnlyDictionary<string, double> EvaluationMetrics { get; init; } = TrainingResult.NoMetrics;
}
