namespace Lora.Llm.Loading;

/// <summary>What <see cref="PretrainedOptions.Labels"/> means for the loaders.</summary>
internal static class FreshHeads
{
    /// <summary>The labels, which name at least one class and each once.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    internal static IReadOnlyList<string> Checked(IReadOnlyList<string> labels) => LabelReader.Problem(labels) is string problem
        ? throw new ArgumentException($"{nameof(PretrainedOptions)}.{nameof(PretrainedOptions.Labels)}: {problem}")
        : [.. labels];

    /// <summary>What to do about a folder without the head of a task.</summary>
    internal static string Hint(Type task) => $"the folder has no head of a {task.Name}: set {nameof(PretrainedOptions)}.{nameof(PretrainedOptions.Labels)} to begin a new one on its weights";
}
