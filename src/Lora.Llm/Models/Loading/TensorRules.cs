namespace Lora.Llm.Loading;

/// <summary>How the tensors of a folder become the parameters of a model.</summary>
internal sealed record TensorRules
{
    /// <summary>The name of the parameter that a tensor of the file is.</summary>
    internal Func<string, string> Rename { get; init; } = static name => name;

    /// <summary>Whether the model rightly has no place for a parameter of this name.</summary>
    internal Func<string, bool> Ignored { get; init; } = static _ => false;

    /// <summary>Whether a parameter begins anew, whatever the file holds.</summary>
    internal Func<string, bool> Fresh { get; init; } = static _ => false;

    /// <summary>Whether a parameter begins anew where the file lacks it.</summary>
    internal Func<string, bool> Optional { get; init; } = static _ => false;

    /// <summary>The standard deviation of what begins anew.</summary>
    internal double InitializerRange { get; init; } = 0.02;

    /// <summary>Says more about a folder that some parameters are missing from, or null.</summary>
    internal Func<IReadOnlyList<string>, string?> Hint { get; init; } = static _ => null;
}
