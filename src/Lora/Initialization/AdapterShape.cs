namespace Lora.Initialization;

/// <summary>What a start can be judged by before anything is made.</summary>
/// <param name="Kind">The name of the modules of the layer's kind, such as <c>Linear</c>.</param>
/// <param name="IsLinear">Whether the layer computes W·x + b from one weight.</param>
/// <param name="IsEmbedding">Whether it is a table of rows.</param>
/// <param name="OutFeatures">The width of the output; null where it is not known beforehand.</param>
/// <param name="InFeatures">The width of the input, or the number of an embedding's rows; null where it is not known beforehand.</param>
/// <param name="Rank">The rank.</param>
/// <param name="Scale">The factor s of ΔW = s·B·A.</param>
public sealed record AdapterShape(string Kind, bool IsLinear, bool IsEmbedding, long? OutFeatures, long? InFeatures, int Rank, double Scale)
{
    /// <summary>The largest rank that W can have; null where it is not known beforehand.</summary>
    public long? FullRank => OutFeatures is long rows && InFeatures is long columns ? Math.Min(rows, columns) : null;

    /// <summary>What to say of a layer without one weight matrix.</summary>
    internal string? UnlessLinear(string name) =>
        IsLinear ? null : $"is a {Kind}, but {name} is defined for layers with one weight matrix (Linear, Conv1D): leave it out of the targets, or give it an adapter of its own with another initialisation";

    /// <summary>What to say of a rank that W cannot have.</summary>
    internal string? UnlessWithinRank(string name) =>
        FullRank is long full && Rank > full ? $"has a weight of {OutFeatures}×{InFeatures}, of which {name} can take at most rank {full}, but the rank is {Rank}" : null;

    /// <summary>What to say of a scale that a part of W cannot be divided by.</summary>
    internal string? UnlessPositiveScale(string name) =>
        Scale > 0 ? null : FormattableString.Invariant($"has the scale {Scale}, but {name} divides singular values by it and takes their roots: alpha must be above 0");
}
