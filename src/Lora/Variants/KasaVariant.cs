using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>
/// Knowledge-aware singular-value adaptation: W' = W − D + s·B·diag(d)·A, where D is the part of W that belongs to its r smallest singular values, and the singular values d of the update train beside
/// A and B (Wang et al. 2024, "KaSA: Knowledge-Aware Singular-Value Adaptation of Large Language Models", arXiv:2412.06071, equations 5 to 8).
/// </summary>
/// <remarks>
/// <para>
/// B is zero at first and d drawn from N(0, 1), so that a fresh adapter computes what the truncated weight W − D does. Training adds <see cref="LoraModel{TModel}.KasaLoss"/> to the loss, which keeps A
/// and B near to what singular vectors are.
/// </para>
/// <para>
/// PEFT replaces the base weight by W − D for good, and so has KaSA beside no other method. Here the weight stays: the adapter computes −D·x beside its own term, from two frozen matrices of rank r that
/// are found in the base weight, also when the adapter is loaded. So disabling gives the base model, adapters of other kinds may be active or take turns, and files are PEFT's own. One KaSA adapter is active at a time, as two would
/// take D off twice. PEFT has it for layers that store their weight as <c>[out, in]</c> alone.
/// </para>
/// </remarks>
public sealed class KasaVariant : LoraVariant
{
    internal const string DiagonalName = "lora_diag";

    private readonly AdaptedWeight _weight;

    [ComponentName(Name = DiagonalName)]
    private Parameter _diagonal;

    // Registered as buffers, which move with the module and do not train.
    [ComponentName(Name = "dropped_A")]
    private Tensor? _droppedA;

    [ComponentName(Name = "dropped_B")]
    private Tensor? _droppedB;

    internal KasaVariant(AdaptedWeight weight, LoraAdapter adapter, bool initialize)
        : base(nameof(KasaVariant))
    {
        _weight = weight;
        long[] shape = [adapter.Rank];
        (ScalarType type, Device device) = (adapter.A.dtype, adapter.A.device);
        _diagonal = new Parameter(initialize ? randn(shape, dtype: type, device: device) : zeros(shape, dtype: type, device: device));
        _diagonal.DetachFromDisposeScope();
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override string Title => KasaKind.Instance.Title;

    /// <summary>The singular values d of the update, shape <c>[r]</c>.</summary>
    public Parameter Diagonal => _diagonal;

    internal override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [new(DiagonalName, _diagonal)];

    internal override bool HasPlainPair => false;

    internal override bool TakesOffBase => true;

    internal override Tensor Up(Tensor b) => b.mul(_diagonal);

    internal override void ReadBase(LoraAdapter adapter)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor weight = _weight.Rows(adapter).Weight.detach();
        (Tensor u, Tensor values, Tensor v) = linalg.svd(weight.dtype == ScalarType.Float64 ? weight : weight.to(ScalarType.Float32), fullMatrices: false);
        long rank = adapter.Rank, first = values.shape[0] - rank;
        ScalarType type = adapter.A.dtype;
        _droppedA = v.narrow(0, first, rank).to(type).contiguous().DetachFromDisposeScope();
        _droppedB = u.narrow(1, first, rank).mul(values.narrow(0, first, rank)).to(type).contiguous().DetachFromDisposeScope();
        register_buffer("dropped_A", _droppedA);
        register_buffer("dropped_B", _droppedB);
    }

    internal override Tensor Contribution(LoraAdapter adapter, Tensor input, long[]? samples)
    {
        using var scope = NewDisposeScope();
        Tensor term = adapter.Term(input), x = input.dtype == term.dtype ? input : input.to(term.dtype);
        return term.sub(nn.functional.linear(nn.functional.linear(x, _droppedA!), _droppedB!)).MoveToOuterDisposeScope();
    }

    internal override IEnumerable<WeightChange> Merged(LoraAdapter adapter, IEnumerable<WeightChange> changes)
    {
        // One product, so that a weight in half precision is rounded once.
        Tensor up = Up(adapter.B).mul(adapter.Scale);
        yield return _weight.Product(cat([up, _droppedB!.neg()], 1), cat([adapter.A, _droppedA!], 0));
        foreach (WeightChange change in changes.Skip(1)) yield return change;
    }

    /// <summary>β·Σ d² + γ·(‖BᵀB − I‖ + ‖AAᵀ − I‖), in float32 at least; a new tensor in the current dispose scope.</summary>
    internal Tensor Loss(LoraAdapter adapter, KasaOptions options)
    {
        using var scope = NewDisposeScope();
        Tensor a = Wide(adapter.A), b = Wide(adapter.B), one = eye(adapter.Rank, dtype: a.dtype, device: a.device);
        Tensor distance = linalg.vector_norm(b.t().matmul(b).sub(one), 2, [0, 1]).add(linalg.vector_norm(a.matmul(a.t()).sub(one), 2, [0, 1]));
        return Wide(_diagonal).square().sum().mul(options.Beta).add(distance.mul(options.Gamma)).MoveToOuterDisposeScope();
    }

    private static Tensor Wide(Tensor tensor) => tensor.dtype is ScalarType.Float32 or ScalarType.Float64 ? tensor : tensor.to(ScalarType.Float32);
}
