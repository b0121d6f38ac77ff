using System.Globalization;

namespace Lora;

/// <summary>How many parameters of a wrapped model train.</summary>
/// <param name="Trainable">The number of elements of parameters that require gradients.</param>
/// <param name="Total">The number of elements of all parameters, adapters included, shared ones counted once.</param>
public readonly record struct ParameterCounts(long Trainable, long Total)
{
    /// <summary>The share that trains, in percent.</summary>
    public double TrainablePercent => Total == 0 ? 0 : 100.0 * Trainable / Total;

    /// <summary>The line that PEFT's <c>print_trainable_parameters</c> prints.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"trainable params: {Trainable:N0} || all params: {Total:N0} || trainable%: {TrainablePercent:F4}");
}
