using Lora.Combining;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Layers;

public sealed partial class LinearAdapter
{
    // Registered as buffers, which move with the module and do not train.
    [ComponentName(Name = "start_A")]
    private Tensor? _startA;

    [ComponentName(Name = "start_B")]
    private Tensor? _startB;

    /// <summary>
    /// Whether the adapter takes s·B₀·A₀, with which it started, off what it adds: its term is s·(B·A − B₀·A₀)·x. So it is where the start is a part of the base weight; see
    /// <see cref="AdapterInitialization.ChangesBase"/>.
    /// </summary>
    public bool HasStart => _startA is not null;

    /// <summary>Whether the start is taken off the base weight while the adapter is active.</summary>
    internal bool WritesStart { get; private set; }

    /// <summary>Whether it is so at the moment, so that the term is s·B·A·x alone.</summary>
    internal bool IsStartInBase { get; set; }

    /// <summary>Whether A or B is held as its blocks.</summary>
    internal bool HasBlocks => _downBlocks > 1 || _upBlocks > 1;

    /// <summary>What stands for A in the term.</summary>
    internal Tensor TermA => IsStartInBase ? A : WholeA;

    /// <summary>What stands for B in the term.</summary>
    internal Tensor TermB => IsStartInBase ? B : WholeB;

    /// <summary>A over A₀, shape <c>[2r, in]</c>, or A with zeros outside of its blocks; A itself where there is no start and one block. A new tensor belongs to the current dispose scope.</summary>
    internal Tensor WholeA => _startA is null ? BlockMatrix.Diagonal(A, _downBlocks) : cat([A, _startA], 0);

    /// <summary>B beside −B₀, shape <c>[out, 2r]</c>, or B with zeros outside of its blocks, or with what a variant makes of it; B itself where there is nothing of these. A new tensor belongs to the current dispose scope.</summary>
    internal Tensor WholeB => _startB is null ? BlockMatrix.Diagonal(Variant?.Up(B) ?? B, _upBlocks) : cat([B, _startB], 1);

    /// <inheritdoc/>
    internal override int FactorRank => HasStart ? 2 * Rank : Rank;

    /// <inheritdoc/>
    internal override LowRank? ToLowRank() => HasStart || HasBlocks
        ? new LowRank(WholeA.detach().to(WideType).unsqueeze(0), WholeB.detach().to(WideType).unsqueeze(0))
        : base.ToLowRank();

    /// <summary>What taking the start off a base weight does to it.</summary>
    internal WeightChange StartChange(Parameter weight, bool isTransposed) => isTransposed
        ? WeightChange.Product(weight, _startA!.t(), _startB!.t(), Scale)
        : WeightChange.Product(weight, _startB!, _startA!, Scale);

    /// <summary>Takes A and B as they are now for the start.</summary>
    /// <param name="writesBase">Whether it is taken off the base weight while the adapter is active, and not computed beside it.</param>
    internal void KeepStart(bool writesBase)
    {
        WritesStart = writesBase;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _startA = A.detach().clone().DetachFromDisposeScope();
        _startB = B.detach().neg().DetachFromDisposeScope();
        register_buffer("start_A", _startA);
        register_buffer("start_B", _startB);
    }
}
