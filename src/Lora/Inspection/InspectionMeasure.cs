namespace Lora;

/// <summary>What a heat map of an adapter shows.</summary>
public enum InspectionMeasure
{
    /// <summary>‖ΔW‖ / ‖W‖.</summary>
    RelativeNorm,

    /// <summary>‖ΔW‖.</summary>
    DeltaNorm,

    /// <summary>The largest singular value of ΔW.</summary>
    SpectralNorm,

    /// <summary>The effective rank of ΔW.</summary>
    EffectiveRank,
}
