using Lora.Combining;
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

    /// <summary>A over A₀, shape <c>[2r, in]</c>; A itself where there is no start. A new tensor belongs to the current dispose scope.</summary>
    internal Tensor WholeA => _startA is null ? A : cat([A, _startA], 0);

    /// <summary>B beside −B₀, shape <c>[out, 2r]</c>; B itself where there is no start. A new tensor belongs to the current dispose scope.</summary>
    internal Tensor WholeB => _startB is null ? B : cat([B, _startB], 1);

    /// <inheritdoc/>
    internal override int FactorRank => HasStart ? 2 * Rank : Rank;

    /// <inheritdoc/>
    internal override LowRank? ToLowRank() => HasStart
        ? new LowRank(WholeA.detach().to(WideType).unsqueeze(0), WholeB.detach().to(WideType).unsqueeze(0))
        : base.ToLowRank();

    /// <summary>Takes A and B as they are now for the start.</summary>
    internal void KeepStart()
    {
        using var noGrad = no_grad();
        _startA = A.detach().clone().DetachFromDisposeScope();
        _startB = B.detach().neg().DetachFromDisposeScope();
        register_buffer("start_A", _startA);
        register_buffer("start_B", _startB);
    }
}
