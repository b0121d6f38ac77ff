namespace Lora.Llm;

/// <summary>A stretch of a conversation as its template writes it.</summary>
/// <param name="Text">The text.</param>
/// <param name="IsToken">Whether it is one token of the tokenizer's, and not text.</param>
/// <param name="Turn">The place of the message that it is the body or the end of; −1 for what the template puts around the turns.</param>
internal readonly record struct ChatSegment(string Text, bool IsToken, int Turn);
