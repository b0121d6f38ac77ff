namespace Lora.Llm;

/// <summary>Two texts that go on from the same prompt, of which one is preferred.</summary>
/// <param name="Chosen">The preferred one; its labels are −100 over the prompt.</param>
/// <param name="Rejected">The other one.</param>
public sealed record PreferenceExample(TrainingExample Chosen, TrainingExample Rejected);
