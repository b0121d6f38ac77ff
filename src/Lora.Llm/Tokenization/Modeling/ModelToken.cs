namespace Lora.Llm.Tokenization;

/// <summary>A token that the model found.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Start">Its first UTF-16 unit in the word.</param>
/// <param name="End">The unit behind its last.</param>
internal readonly record struct ModelToken(int Id, int Start, int End);
