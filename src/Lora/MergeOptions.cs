namespace Lora;

/// <summary>How adapters are merged into base weights.</summary>
public sealed record MergeOptions
{
    /// <summary>The adapters to merge, which must be active.</summary>
    /// <value>Null by default: all that are active.</value>
    public IReadOnlyList<string>? Adapters { get; init; }

    /// <summary>
    /// Whether a copy of every merged weight is kept, so that unmerging restores it bit for bit instead of subtracting. It must be set where several adapters of a layer are
    /// merged of which one rescales the weight (<see cref="LoraConfig.UseDora"/>).
    /// </summary>
    /// <value>False by default.</value>
    public bool KeepOriginal { get; init; }

    /// <summary>Whether all merged weights are computed once beforehand and checked for NaN and infinity; nothing is changed when one is found.</summary>
    /// <value>True by default.</value>
    public bool CheckFinite { get; init; } = true;

    /// <summary>
    /// Whether an adapter that cannot be merged exactly is merged as PEFT does. That is so for an adapter that PEFT made on a convolution with a dilation or a
    /// padding mode: PEFT computes its A without them and merges it as if it had them, so that PEFT's merged model computes something else.
    /// </summary>
    /// <value>False by default: merging such an adapter is refused.</value>
    public bool PeftCompatible { get; init; }
}
