namespace Lora.Llm.Training.Running;

/// <summary>What one step computed.</summary>
internal sealed record StepOutcome(double Loss, double Norm, int Tokens, double LearningRate, double? LossScale, bool IsSkipped, bool IsFirst, IReadOnlyDictionary<string, double> Metrics);
