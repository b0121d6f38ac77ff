namespace Lora.Llm;

/// <summary>One text as tokens.</summary>
/// <param name="InputIds">The tokens.</param>
/// <param name="Labels">The token to learn at each place, or <see cref="IgnoredLabel"/> where none is. The shift by one is the loss's business.</param>
public sealed record TrainingExample(IReadOnlyList<int> InputIds, IReadOnlyList<int> Labels)
{
    /// <summary>The label of places that the loss leaves out, as in PyTorch.</summary>
    public const int IgnoredLabel = -100;

    private static readonly int[] _one = [0];

    /// <summary>Where the texts begin that lie one behind the other here. They do not see each other.</summary>
    /// <value>0 alone by default: one text.</value>
    public IReadOnlyList<int> Starts { get; init; } = _one;

    /// <summary>Puts several texts one behind the other into one example. Nothing predicts the first token of any of them, so none is learned.</summary>
    /// <param name="examples">At least one example.</param>
    /// <returns>The example; a single one is given back as it is.</returns>
    /// <exception cref="ArgumentException">There is no example.</exception>
    public static TrainingExample Pack(IReadOnlyList<TrainingExample> examples)
    {
        ArgumentNullException.ThrowIfNull(examples);
        if (examples.Count == 0) throw new ArgumentException("There is no example to pack.", nameof(examples));
        if (examples.Count == 1) return examples[0];
        List<int> ids = [], labels = [], starts = [];
        foreach (TrainingExample example in examples)
        {
            starts.AddRange(example.Starts.Select(start => ids.Count + start));
            labels.AddRange(example.Labels.Select((label, i) => i == 0 ? IgnoredLabel : label));
            ids.AddRange(example.InputIds);
        }
        return new TrainingExample(ids, labels) { Starts = starts };
    }

    /// <summary>The number of tokens of its longest text.</summary>
    internal int LongestText => Starts.Count == 1 ? InputIds.Count : Starts.Zip(Starts.Skip(1).Append(InputIds.Count), (start, end) => end - start).Max();

    /// <summary>What is wrong with it, to be said behind its name; null where nothing is.</summary>
    internal string? Problem
    {
        get
        {
            if (InputIds.Count == 0) return "has no token: leave it out";
            if (InputIds.Count != Labels.Count) return $"has {InputIds.Count} tokens, but {Labels.Count} labels";
            if (InputIds.Min() < 0) return $"holds the token {InputIds.Min()}, but tokens are counted from 0";
            bool rise = Starts.Count > 0 && Starts[0] == 0 && Starts[^1] < InputIds.Count && Starts.Zip(Starts.Skip(1)).All(pair => pair.First < pair.Second);
            return rise ? null : $"has {InputIds.Count} tokens, so its {nameof(Starts)} must begin with 0 and rise to at most {InputIds.Count - 1}, but are [{string.Join(", ", Starts)}]";
        }
    }

    /// <summary>The number of tokens that the loss counts: those with a label, but for the first place, which nothing predicts.</summary>
    public int LearnedTokens => Labels.Skip(1).Count(label => label != IgnoredLabel);
}
