namespace Lora.Llm;

/// <summary>What a training did.</summary>
/// <param name="Steps">Every step, in order.</param>
/// <param name="EvaluationLossBefore">The loss of the held-out examples before the first step, when there are any.</param>
/// <param name="EvaluationLossAfter">The loss of the held-out examples after the last step.</param>
/// <param name="Tokens">The tokens seen, without padding.</param>
/// <param name="Elapsed">The time it took.</param>
public sealed record TrainingResult(IReadOnlyList<TrainingStep> Steps, double? EvaluationLossBefore, double? EvaluationLossAfter, long Tokens, TimeSpan Elapsed);
