namespace Lora.Llm.Tokenization;

/// <summary>A token that a post-processor adds.</summary>
internal readonly record struct SpecialToken(string Text, int Id);
