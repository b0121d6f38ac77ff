using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>One batch of data that a start is found from.</summary>
/// <param name="Run">
/// Runs the model, through <c>call</c>, on the batch. For <see cref="LoraGaInitialization"/> it computes the loss and calls <c>backward</c> too.
/// </param>
/// <param name="Mask">
/// Which positions count, such as those that are no padding: true or not zero at each that does, of the shape that the layers' inputs have without the last dimension. Null where all do.
/// It stays the caller's.
/// </param>
public sealed record CalibrationPass(Action Run, Tensor? Mask = null);
