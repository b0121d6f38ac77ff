namespace Lora;

/// <summary>How adapters are combined into one.</summary>
public sealed record CombineOptions
{
    /// <summary>The method. PEFT calls it <c>combination_type</c>.</summary>
    /// <value><see cref="CombineMethod.Svd"/> by default, as in PEFT.</value>
    public CombineMethod Method { get; init; } = CombineMethod.Svd;

    /// <summary>The rank of the new adapter, for the methods that end in a singular value decomposition. PEFT calls it <c>svd_rank</c>.</summary>
    /// <value>By default the largest rank that is combined, on each layer for itself. A layer gets no more than its ΔW can have.</value>
    public int? Rank { get; init; }

    /// <summary>
    /// The part of the squared Frobenius norm of ΔW that must be kept, above 0 and at most 1, for the methods that end in a singular value decomposition:
    /// each layer gets the smallest rank that does, though no more than <see cref="Rank"/> where that is given.
    /// </summary>
    /// <value>None by default.</value>
    public double? EnergyThreshold { get; init; }

    /// <summary>The part of the values that pruning keeps, above 0 and at most 1, for the methods that prune; they need it.</summary>
    /// <value>None by default.</value>
    public double? Density { get; init; }

    /// <summary>How the TIES methods elect signs. PEFT calls it <c>majority_sign_method</c>.</summary>
    /// <value><see cref="MajoritySign.Total"/> by default.</value>
    public MajoritySign MajoritySign { get; init; }

    /// <summary>
    /// Clamps the new A and B at ± this quantile of the absolute values of both, from 0 to 1, for the methods that end in a singular value decomposition. PEFT calls it
    /// <c>svd_clamp</c>, and takes the quantile of the values with their signs.
    /// </summary>
    /// <value>None by default.</value>
    public double? ClampQuantile { get; init; }

    /// <summary>The seed of the DARE methods' draws. One seed gives the same adapter each time and on every device.</summary>
    /// <value>0 by default.</value>
    public long Seed { get; init; }

    /// <summary>Whether the new adapter's parameters require gradients.</summary>
    /// <value>False by default.</value>
    public bool IsTrainable { get; init; }

    /// <summary>
    /// Whether the numbers are PEFT's, so that files agree. PEFT multiplies by the scale twice where a decomposition follows, leaves the new adapter's scale at √r
    /// when the first adapter is rank-stabilised, elects signs before weights count, keeps ⌊density · n⌋ values by a product in binary (0.29 of 100 are 28), gives every layer the
    /// same rank and fills with zeros, and combines a single adapter as <see cref="CombineMethod.Linear"/> whatever the method.
    /// </summary>
    /// <value>False by default.</value>
    public bool PeftCompatible { get; init; }
}
