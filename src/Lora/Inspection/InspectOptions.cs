namespace Lora;

/// <summary>How <see cref="LoraModel{TModel}.Inspect"/> looks at an adapter.</summary>
public sealed record InspectOptions
{
    /// <summary>The part of the largest singular value that another one must be above to count in <see cref="LayerInspection.SignificantRank"/>, from 0 to 1.</summary>
    /// <value>0.01 by default.</value>
    public double Threshold { get; init; } = 0.01;
}
