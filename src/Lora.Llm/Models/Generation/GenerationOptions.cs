namespace Lora.Llm;

/// <summary>How text is generated.</summary>
public sealed record GenerationOptions
{
    /// <summary>The largest number of tokens to add.</summary>
    /// <value>128 by default.</value>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>0 takes the most probable token each time; above 0 tokens are drawn, the more evenly the higher.</summary>
    /// <value>0 by default.</value>
    public double Temperature { get; init; }

    /// <summary>Draws among the k most probable tokens alone; 0 draws among all.</summary>
    /// <value>0 by default.</value>
    public int TopK { get; init; }

    /// <summary>Draws among the fewest tokens whose probabilities reach this sum (Holtzman et al. 2020); 1 draws among all.</summary>
    /// <value>1 by default.</value>
    public double TopP { get; init; } = 1;

    /// <summary>The tokens that end a text; null for those of the model, empty for none.</summary>
    /// <value>Null by default.</value>
    public IReadOnlyList<int>? EndTokenIds { get; init; }

    /// <summary>What fills the rows of a batch that have ended before others.</summary>
    /// <value>Null by default: the first end token, or 0; for a <see cref="SequenceToSequenceModel"/> its own.</value>
    public int? PadTokenId { get; init; }

    /// <summary>The seed of the draws; null takes the global random state.</summary>
    /// <value>Null by default.</value>
    public long? Seed { get; init; }

    /// <summary>Whether keys and values are kept, so that each step computes one token.</summary>
    /// <value>True by default.</value>
    public bool UseCache { get; init; } = true;

    /// <summary>Checks all settings.</summary>
    /// <exception cref="ArgumentException">One is out of range; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (MaxNewTokens < 1) problems.Add($"{nameof(MaxNewTokens)} must be at least 1, but is {MaxNewTokens}.");
        if (!(Temperature >= 0 && double.IsFinite(Temperature))) problems.Add(FormattableString.Invariant($"{nameof(Temperature)} must be 0 or above, but is {Temperature}."));
        if (TopK < 0) problems.Add($"{nameof(TopK)} must be 0 or above, but is {TopK}.");
        if (TopP is not (> 0 and <= 1)) problems.Add(FormattableString.Invariant($"{nameof(TopP)} must be above 0 and at most 1, but is {TopP}."));
        if (PadTokenId < 0) problems.Add($"{nameof(PadTokenId)} must be 0 or above, but is {PadTokenId}.");
        if (problems.Count > 0) throw new ArgumentException($"The generation cannot start:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }
}
