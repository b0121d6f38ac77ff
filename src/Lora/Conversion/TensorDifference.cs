namespace Lora.Conversion;

/// <summary>A tensor that differs between the two models and is no target's weight.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Kind">In what it differs.</param>
/// <param name="Norm">The Frobenius norm of the difference; 0 where there is no tensor to compare with.</param>
/// <param name="RelativeNorm">The same as a part of the norm of the base's tensor; infinite where that is zero.</param>
public sealed record TensorDifference(string Name, DifferenceKind Kind, double Norm = 0, double RelativeNorm = 0)
{
    /// <summary>The setting that saves it with the adapter, in PEFT's words (<c>bias</c> or <c>modules_to_save</c>); null where the adapter does not have it.</summary>
    public string? SavedBy { get; init; }
}
