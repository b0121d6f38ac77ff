namespace Lora.Llm.Tokenization;

/// <summary>What becomes of the delimiters that a splitter finds.</summary>
internal enum SplitBehavior
{
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}
