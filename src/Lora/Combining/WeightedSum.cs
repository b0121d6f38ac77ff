using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>Σ wᵢ·Tᵢ.</summary>
internal sealed class WeightedSum : MergeRule
{
    internal override Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineRun run)
    {
        using var scope = NewDisposeScope();
        Tensor sum = tensors[0].mul(weights[0]);
        for (int i = 1; i < tensors.Count; i++) sum = sum.add(tensors[i], alpha: weights[i]);
        return sum.MoveToOuterDisposeScope();
    }
}
