using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>A start that is found from what the base model does with data. The data is run while the adapter is made, with all adapters disabled.</summary>
public abstract record CalibratedInitialization : AdapterInitialization
{
    private protected CalibratedInitialization()
    {
    }

    /// <summary>The data. A configuration that was read from a file has none, and needs none, since the values are in the file too.</summary>
    /// <value>Empty by default; it must be set for a fresh adapter.</value>
    public IReadOnlyList<CalibrationPass> Passes { get; init; } = [];

    /// <summary>Whether the model runs in training mode, with gradients.</summary>
    internal virtual bool NeedsGradients => false;

    /// <summary>Runs the data.</summary>
    /// <param name="layers">The layers that the adapter is going to be on.</param>
    /// <param name="config">The configuration.</param>
    /// <returns>What was found, and the configuration to go on with. The tensors belong to nobody's scope.</returns>
    internal abstract Calibration Calibrate(IReadOnlyList<CalibratedLayer> layers, LoraConfig config);

    /// <inheritdoc/>
    protected internal override string? Obstacle(AdapterShape shape) => shape.UnlessLinear(Name)
        ?? (Passes.Count == 0 ? $"cannot start from {Name} without data: set {nameof(Passes)}" : shape.UnlessWithinRank(Name));
}
