using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>
/// Weight-decomposed adaptation: the length of each output's row of the weight trains apart from its direction, as the magnitude m:
/// W' = m ⊙ (W + s·B·A) / ‖W + s·B·A‖, with the norm taken over each row (Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation", arXiv:2402.09353).
/// </summary>
/// <remarks>
/// <para>
/// With c = m / ‖W + s·B·A‖ the layer computes y = y₀ + (c − 1)·(y₀ − b) + c·s·B·A·x, where y₀ is the base layer's output and b its bias, which is not rescaled. The norm is
/// a constant to the gradient (section 4.3 of the paper), as in PEFT. It is found without forming the matrix W + s·B·A, and in float32 at least. A fresh magnitude is
/// the norm itself, so that a fresh adapter changes nothing. Where a row of W + s·B·A is all zeros there is no direction, and its norm counts as 1.
/// </para>
/// <para>
/// With dropout in training, both W and A work on the dropped input: y = y₀ + (c − 1)·W·x̂ + c·s·B·A·x̂. Several active adapters each rescale the base layer's output alone, so
/// that their order does not matter; in PEFT a later one also rescales what earlier ones added.
/// </para>
/// </remarks>
public sealed class DoraVariant : LoraVariant
{
    internal const string MagnitudeName = "lora_magnitude_vector";

    private readonly AdaptedWeight _weight;
    private readonly KeptTensor? _kept;

    [ComponentName(Name = MagnitudeName)]
    private Parameter _magnitude;

    internal DoraVariant(AdaptedWeight weight, ScalarType dataType, bool cachesInEvaluation)
        : base(nameof(DoraVariant))
    {
        _weight = weight;
        _kept = cachesInEvaluation ? new KeptTensor() : null;
        _magnitude = new Parameter(zeros(weight.FileShape, dtype: dataType, device: weight.Weight.device));
        _magnitude.DetachFromDisposeScope();
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override string Title => DoraKind.Instance.Title;

    /// <summary>The magnitude m: <c>[out]</c>; <c>[dim]</c> for an embedding, <c>[1, out, 1…]</c> for a convolution.</summary>
    public Parameter Magnitude => _magnitude;

    internal override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [new(MagnitudeName, _magnitude)];

    internal override bool NeedsBaseAlone => true;

    internal override string? RevertObstacle
    {
        get
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            return _magnitude.count_nonzero().item<long>() == _magnitude.numel()
                ? null
                : "has an output of which the adapter's magnitude is 0, so that unmerging could not bring the weight back";
        }
    }

    internal override string MixingObstacle => "is a DoRA adapter (use_dora), which rescales the whole batch's output";

    internal override void Initialize(LoraAdapter adapter)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _magnitude.copy_(RowNorms.Of(_weight, adapter).view(_weight.FileShape));
        Forget();
    }

    internal override Tensor Add(Tensor sum, LoraAdapter adapter, Tensor output, Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor factor = Factor(adapter);
        if (adapter.DropsInput) return sum.add(Dropped(adapter, factor, input)).MoveToOuterDisposeScope();
        Tensor own = Rescaled(output.add(adapter.Term(input)), factor);
        return (ReferenceEquals(sum, output) ? own : sum.add(own.sub(output))).MoveToOuterDisposeScope();
    }

    internal override IEnumerable<WeightChange> Merged(LoraAdapter adapter, IEnumerable<WeightChange> changes) =>
        changes.Select(change => change.Normalized(_weight.OverWeight(_magnitude.detach().flatten()), _weight.RowDimensions));

    internal override void Forget() => _kept?.Dispose();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) Forget();
        base.Dispose(disposing);
    }

    // c·z + (1 − c)·b in one pass over the output.
    private Tensor Rescaled(Tensor unscaled, Tensor factor)
    {
        Tensor c = _weight.OverOutput(factor);
        if (_weight.Bias is not Parameter bias) return unscaled.mul(c);
        Tensor rest = _weight.OverOutput(bias.sub(bias.mul(factor)));
        using Scalar one = 1;
        return unscaled.dtype == rest.dtype && unscaled.dtype == c.dtype ? addcmul(rest, unscaled, c, one) : unscaled.mul(c).add(rest);
    }

    // (c − 1)·W·x̂ + c·s·B·A·x̂
    private Tensor Dropped(LoraAdapter adapter, Tensor factor, Tensor input)
    {
        Tensor dropped = adapter.Prepared(input);
        Tensor product = _weight.Apply(dropped);
        return product.add(adapter.TermOf(dropped)).mul(_weight.OverOutput(factor)).sub(product);
    }

    // c, which has a gradient for m alone.
    private Tensor Factor(LoraAdapter adapter)
    {
        if (_kept is null || adapter.training || is_grad_enabled())
        {
            _kept?.Drop();
            return Computed(adapter);
        }
        return _kept.Of(() => Computed(adapter), adapter.Scale, _magnitude, adapter.A, adapter.B, _weight.Weight);
    }

    private Tensor Computed(LoraAdapter adapter)
    {
        using Scalar zero = 0;
        Tensor norms = RowNorms.Of(_weight, adapter);
        norms = norms.add(norms.eq(zero));
        return _magnitude.flatten().to(norms.dtype).div(norms);
    }
}
