namespace Lora.Llm;

/// <summary>Examples that a program has made itself.</summary>
/// <typeparam name="TExample">What a training learns from.</typeparam>
/// <param name="Path">The name by which errors speak of them.</param>
/// <param name="Examples">The examples, at least one.</param>
public sealed record TrainingData<TExample>(string Path, IReadOnlyList<TExample> Examples) : ITrainingData<TExample>;
