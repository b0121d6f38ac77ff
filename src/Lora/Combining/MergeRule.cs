using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>Makes one tensor of several of one shape with their weights.</summary>
internal abstract class MergeRule
{
    /// <summary>Merges. The answer belongs to the current dispose scope.</summary>
    internal abstract Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineRun run);
}
