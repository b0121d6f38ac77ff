namespace Lora.Llm;

/// <summary>How a JSONL file becomes training examples.</summary>
public sealed record JsonlOptions
{
    /// <summary>The largest number of tokens of an example; longer ones lose their end.</summary>
    /// <value>1024 by default.</value>
    public int MaxLength { get; init; } = 1024;

    /// <summary>Whether the prompt is learned as well as the completion.</summary>
    /// <value>False by default.</value>
    public bool TrainOnPrompt { get; init; }

    /// <summary>The token that is put at the end of each text that does not end with it, so that the model learns to stop.</summary>
    /// <value>Null by default: none is put there.</value>
    public int? EndTokenId { get; init; }

    /// <summary>The largest number of examples to read.</summary>
    /// <value>Null by default: all.</value>
    public int? MaxExamples { get; init; }

    /// <summary>Checks all settings.</summary>
    /// <exception cref="ArgumentException">One is out of range; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (MaxLength < 2) problems.Add($"{nameof(MaxLength)} must be at least 2, since the first token is predicted by none, but is {MaxLength}.");
        if (EndTokenId < 0) problems.Add($"{nameof(EndTokenId)} must be 0 or above, but is {EndTokenId}.");
        if (MaxExamples < 1) problems.Add($"{nameof(MaxExamples)} must be at least 1, but is {MaxExamples}.");
        if (problems.Count > 0) throw new ArgumentException($"The data cannot be read so:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }
}
