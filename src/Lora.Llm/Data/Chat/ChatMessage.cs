namespace Lora.Llm;

/// <summary>One turn of a conversation.</summary>
/// <param name="Role">Who speaks: <c>system</c>, <c>user</c> or <c>assistant</c>.</param>
/// <param name="Content">What is said, plain text.</param>
public sealed record ChatMessage(string Role, string Content);
