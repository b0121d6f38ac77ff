using static TorchSharp.torch;

namespace Lora.Optimization;

/// <summary>An optimizer whose state a training can save and go on from. Implement it on an optimizer of your own to use it with checkpoints.</summary>
public interface ISavableOptimizer
{
    /// <summary>Gives everything that later steps depend on, beside the parameters and the learning rates.</summary>
    /// <returns>Copies by name, which the caller disposes.</returns>
    IReadOnlyDictionary<string, Tensor> SaveState();

    /// <summary>Puts a saved state back, over the same parameters in the same order. The tensors are copied.</summary>
    /// <param name="state">What <see cref="SaveState"/> gave.</param>
    /// <exception cref="ArgumentException">It is the state of other parameters or of another optimizer; every difference is listed, and nothing has changed.</exception>
    void LoadState(IReadOnlyDictionary<string, Tensor> state);
}
