namespace Lora.Llm;

/// <summary>How preferences are learned.</summary>
public sealed record PreferenceOptions
{
    /// <summary>The loss.</summary>
    /// <value><see cref="PreferenceKind.Sigmoid"/> by default.</value>
    public PreferenceKind Kind { get; init; }

    /// <summary>How strongly the model is held to the one that it started as; small lets it go far.</summary>
    /// <value>0.1 by default.</value>
    public double Beta { get; init; } = 0.1;

    /// <summary>The share of preferences that are assumed to be the wrong way round, at least 0 and below 0.5; of <see cref="PreferenceKind.Sigmoid"/> alone.</summary>
    /// <value>0 by default.</value>
    public double LabelSmoothing { get; init; }

    /// <summary>The number of preferences of one forward pass in which the base model's log-probabilities are found out, before the training begins.</summary>
    /// <value>16 by default.</value>
    public int ReferenceBatchSize { get; init; } = 16;

    /// <summary>Checks all settings.</summary>
    /// <exception cref="ArgumentException">One is out of range; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (!Enum.IsDefined(Kind)) problems.Add($"{nameof(Kind)} must be one of its names, but is {Kind}.");
        if (!(Beta > 0 && double.IsFinite(Beta))) problems.Add(FormattableString.Invariant($"{nameof(Beta)} must be above 0, but is {Beta}."));
        if (LabelSmoothing is not (>= 0 and < 0.5)) problems.Add(FormattableString.Invariant($"{nameof(LabelSmoothing)} must be at least 0 and below 0.5, but is {LabelSmoothing}."));
        else if (LabelSmoothing != 0 && Kind != PreferenceKind.Sigmoid) problems.Add($"{nameof(LabelSmoothing)} is of {nameof(PreferenceKind.Sigmoid)} alone, but {nameof(Kind)} is {Kind}.");
        if (ReferenceBatchSize < 1) problems.Add($"{nameof(ReferenceBatchSize)} must be at least 1, but is {ReferenceBatchSize}.");
        if (problems.Count > 0) throw new ArgumentException($"Preferences cannot be learned so:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}");
    }
}
