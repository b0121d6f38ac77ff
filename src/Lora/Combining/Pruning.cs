using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>Sets most values of a tensor to zero.</summary>
internal abstract class Pruning
{
    /// <summary>Prunes to a density below 1. The answer belongs to the current dispose scope.</summary>
    internal abstract Tensor Prune(Tensor tensor, CombineRun run);
}
