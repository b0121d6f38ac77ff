namespace Lora.Llm;

/// <summary>The texts of one line of a JSONL file.</summary>
/// <param name="Prompt">What is given; empty for plain text.</param>
/// <param name="Completion">What is learned.</param>
public sealed record JsonlRecord(string Prompt, string Completion);
