namespace Lora.Initialization;

/// <summary>Which singular vectors of the gradient go to A and which to B in <see cref="LoraGaInitialization"/>; of 2r of them, counted from the largest.</summary>
public enum LoraGaDirection
{
    /// <summary>A the first r, B the second r.</summary>
    ArB2r,

    /// <summary>A the second r, B the first r.</summary>
    A2rBr,

    /// <summary>A those with odd numbers counted from 0, B those with even ones.</summary>
    ArBr,

    /// <summary>The same r for both, drawn at random.</summary>
    Random,
}
