using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>Keeps each value with the probability of the density and divides it by that, so that the expected value stays.</summary>
internal sealed class RandomPruning : Pruning
{
    internal override Tensor Prune(Tensor tensor, CombineRun run)
    {
        using var scope = NewDisposeScope();
        // Drawn on the CPU, whose generator gives the same numbers everywhere.
        Tensor kept = empty(tensor.shape, dtype: ScalarType.Float32).bernoulli_(run.Density, run.Generator).to(tensor.device).to(tensor.dtype);
        return tensor.mul(kept).div(run.Density).MoveToOuterDisposeScope();
    }
}
