namespace Lora.Llm.Tokenization;

/// <summary>The options of a BPE model, as tokenizer.json names them.</summary>
internal sealed record BpeSettings(
    string? UnknownToken,
    string? ContinuingSubwordPrefix,
    string? EndOfWordSuffix,
    bool FusesUnknown,
    bool FallsBackToBytes,
    bool IgnoresMerges);
