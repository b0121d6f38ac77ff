namespace Lora;

/// <summary>How adapters are merged into base weights.</summary>
public sealed record MergeOptions
{
    /// <summary>The adapters to merge, which must be active.</summary>
    /// <value>Null by default: all that are active.</value>
    public IReadOnlyList<string>? Adapters { get; init; }

    /// <summary>Whether a copy of every merged weight is kept, so that unmerging restores it bit for bit instead of subtracting.</summary>
    /// <value>False by default.</value>
    public bool KeepOriginal { get; init; }

    /// <summary>Whether all merged weights are computed once beforehand and checked for NaN and infinity; nothing is changed when one is found.</summary>
    /// <value>True by default.</value>
    public bool CheckFinite { get; init; } = true;
}
