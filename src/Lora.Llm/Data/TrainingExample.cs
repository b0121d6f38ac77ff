namespace Lora.Llm;

/// <summary>One text as tokens.</summary>
/// <param name="InputIds">The tokens.</param>
/// <param name="Labels">The token to learn at each place, or <see cref="IgnoredLabel"/> where none is. The shift by one is the loss's business.</param>
public sealed record TrainingExample(IReadOnlyList<int> InputIds, IReadOnlyList<int> Labels)
{
    /// <summary>The label of places that the loss leaves out, as in PyTorch.</summary>
    public const int IgnoredLabel = -100;

    /// <summary>The number of tokens that the loss counts: those with a label, but for the first place, which nothing predicts.</summary>
    public int LearnedTokens => Labels.Skip(1).Count(label => label != IgnoredLabel);
}
