using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>Makes one tensor of several of one shape: each is pruned, and the rule puts together what is left.</summary>
internal sealed class Blend(Pruning? pruning, MergeRule rule)
{
    internal bool Prunes => pruning is not null;

    /// <summary>Whether pruning keeps nothing sensible at density 0.</summary>
    internal bool Rescales => pruning is RandomPruning;

    internal bool ElectsSigns => rule is SignElection;

    internal Tensor Of(IEnumerable<Tensor> tensors, IReadOnlyList<double> weights, CombineRun run) =>
        rule.Merge([.. tensors.Select(tensor => pruning is null || run.Density >= 1 ? tensor : pruning.Prune(tensor, run))], weights, run);
}
