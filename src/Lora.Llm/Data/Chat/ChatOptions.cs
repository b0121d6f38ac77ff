namespace Lora.Llm;

/// <summary>How a file of conversations becomes training examples.</summary>
public sealed record ChatOptions
{
    /// <summary>The largest number of tokens of an example; longer ones lose their end.</summary>
    /// <value>1024 by default.</value>
    public int MaxLength { get; init; } = 1024;

    /// <summary>The roles whose turns are learned, their end tokens included. What the template puts around the turns is not learned.</summary>
    /// <value><c>assistant</c> alone by default.</value>
    public IReadOnlyList<string> LearnedRoles { get; init; } = [ChatTemplate.Assistant];

    /// <summary>Whether only the last turn of <see cref="LearnedRoles"/> is learned instead of all of them.</summary>
    /// <value>False by default.</value>
    public bool LastTurnOnly { get; init; }

    /// <summary>The largest number of examples to read.</summary>
    /// <value>Null by default: all.</value>
    public int? MaxExamples { get; init; }

    /// <summary>Checks all settings.</summary>
    /// <exception cref="ArgumentException">One is out of range; every problem is listed.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (MaxLength < 2) problems.Add($"{nameof(MaxLength)} must be at least 2, since the first token is predicted by none, but is {MaxLength}.");
        if (LearnedRoles is null or []) problems.Add($"{nameof(LearnedRoles)} must name at least one role.");
        foreach (string role in LearnedRoles ?? [])
        {
            if (!ChatTemplate.AllRoles.Contains(role)) problems.Add($"{nameof(LearnedRoles)} names '{role}', but the roles are {string.Join(", ", ChatTemplate.AllRoles)}.");
        }
        if (MaxExamples < 1) problems.Add($"{nameof(MaxExamples)} must be at least 1, but is {MaxExamples}.");
        if (problems.Count > 0) throw new ArgumentException($"The conversations cannot be read so:{string.Concat(problems.Select(p => $"\n  - {p}"))}");
    }
}
