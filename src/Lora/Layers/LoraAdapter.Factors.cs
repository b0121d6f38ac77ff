using Lora.Combining;
using static TorchSharp.torch;

namespace Lora.Layers;

public abstract partial class LoraAdapter
{
    /// <summary>
    /// A and B as the factors of ΔW / s, in the type that ΔW is computed in; null where ΔW is not a product of that form. The tensors belong to the current dispose scope.
    /// </summary>
    /// <remarks>
    /// Whatever follows the first dimension of A is one row. A B that is narrower than the rank belongs to a layer in groups: each group of output channels has its part of
    /// the rank for itself.
    /// </remarks>
    internal virtual LowRank? ToLowRank()
    {
        (long rows, long columns) = (_b.shape[0], _b.shape[1]);
        if (_a.shape[0] != Rank || Rank % columns != 0 || _b.numel() != rows * columns || rows % (Rank / columns) != 0) return null;
        long groups = Rank / columns;
        return new LowRank(_a.detach().to(WideType).reshape(groups, columns, -1), _b.detach().to(WideType).reshape(groups, rows / groups, columns));
    }

    /// <summary>The rank of the factors that <see cref="ToLowRank"/> gives, all blocks together.</summary>
    internal virtual int FactorRank => Rank;

    /// <summary>Sets A and B to factors of the form that <see cref="ToLowRank"/> gives.</summary>
    internal virtual void Assign(LowRank factors)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _a.copy_(factors.A.reshape(_a.shape));
        _b.copy_(factors.B.reshape(_b.shape));
    }
}
