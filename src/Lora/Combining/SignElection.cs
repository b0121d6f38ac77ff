using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>
/// Elects a sign for each element and averages the weighted values that have it: Σ wᵢ·Tᵢ·mᵢ / max(1, Σ mᵢ), where mᵢ is 1 for the agreeing values (TIES). The weighted
/// values vote, for what is subtracted must vote for the other sign; PEFT lets the unweighted ones vote.
/// </summary>
internal sealed class SignElection : MergeRule
{
    internal override Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineRun run)
    {
        using var scope = NewDisposeScope();
        Tensor[] weighted = [.. tensors.Select((tensor, i) => tensor.mul(weights[i]))];
        IReadOnlyList<Tensor> voters = run.Options.PeftCompatible ? tensors : weighted;
        Tensor votes = zeros_like(tensors[0]);
        foreach (Tensor voter in voters) votes.add_(run.Options.MajoritySign == MajoritySign.Total ? voter : voter.sign());
        // 1 where the vote is positive or drawn, else -1. A zero has neither sign, so it never agrees.
        Tensor elected = votes.ge(0).to(votes.dtype).mul(2).sub(1);
        Tensor sum = zeros_like(votes), count = zeros_like(votes);
        for (int i = 0; i < weighted.Length; i++)
        {
            Tensor agrees = voters[i].sign().eq(elected).to(votes.dtype);
            sum.add_(weighted[i].mul(agrees));
            count.add_(agrees);
        }
        return sum.div(count.clamp_min(1)).MoveToOuterDisposeScope();
    }
}
