using Lora.Llm;

namespace FineTune;

/// <summary>How often greedy generation gives the very completion of a held-out example.</summary>
internal sealed class ExactMatch(HuggingFaceTokenizer tokenizer, JsonlDataset heldOut, int examples, int? endToken)
{
    private const int BatchSize = 64;

    private readonly JsonlRecord[] _records = [.. heldOut.Records.Where(record => record.Prompt.Length > 0).Take(examples)];

    // A token more than the longest completion has: whoever goes on there is wrong.
    private readonly GenerationOptions _generation = new()
    {
        MaxNewTokens = heldOut.Examples.Max(example => example.LearnedTokens) + 1,
        EndTokenIds = endToken is int id ? [id] : null,
    };

    internal int Count => _records.Length;

    internal Score Measure(CausalLanguageModel model, CancellationToken cancellationToken)
    {
        List<string> texts = [];
        foreach (JsonlRecord[] part in _records.Chunk(BatchSize))
            texts.AddRange(model.GenerateTexts(tokenizer, [.. part.Select(record => record.Prompt)], _generation, cancellationToken));
        return new Score(_records.Zip(texts).Count(pair => pair.First.Completion == pair.Second), texts);
    }

    /// <summary>What the n-th example asks, and what it wants.</summary>
    internal JsonlRecord this[int index] => _records[index];

    internal sealed record Score(int Matches, IReadOnlyList<string> Texts);
}
