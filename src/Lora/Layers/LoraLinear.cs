using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A linear layer with a low-rank adapter: y = W·x + b + s·B·A·dropout(x), with W and b frozen (Hu et al. 2021, equation 3).
/// </summary>
/// <remarks>
/// Use it by hand in a module of your own, in a field of type <c>Module&lt;Tensor, Tensor&gt;</c>:
/// <c>_project = new LoraLinear(nn.Linear(64, 64), rank: 8, alpha: 16);</c>
/// </remarks>
public sealed class LoraLinear : LoraLayer
{
    private readonly BaseLinear _base;
    private readonly LoraAdapter _adapter;
    private Tensor? _original;

    /// <summary>Adapts a linear layer by hand. The new layer owns <paramref name="baseLayer"/> as its child <c>base_layer</c> and freezes it.</summary>
    /// <param name="baseLayer">A <see cref="Linear"/> or a <see cref="TransposedLinear"/>.</param>
    /// <param name="rank">The rank r.</param>
    /// <param name="alpha">The numerator of the scale.</param>
    /// <param name="dropout">The probability with which an element of the adapter's input is dropped in training, from 0 to 1.</param>
    /// <param name="useRankStabilizedScaling">Whether the scale is alpha / √r instead of alpha / r.</param>
    /// <exception cref="ArgumentException">The base layer is of another kind, or a setting is out of range.</exception>
    public LoraLinear(nn.Module<Tensor, Tensor> baseLayer, int rank = 8, double alpha = 8, double dropout = 0, bool useRankStabilizedScaling = false)
        : this(baseLayer, LoraModel.DefaultAdapter, AdapterSettings.Of(rank, alpha, dropout, useRankStabilizedScaling), ownsBase: true)
    {
    }

    /// <param name="baseLayer">The layer to adapt.</param>
    /// <param name="adapterName">The adapter's name.</param>
    /// <param name="settings">Its settings.</param>
    /// <param name="ownsBase">Whether the base layer becomes a child of this one, which it does not when this one is a hook beside it.</param>
    internal LoraLinear(nn.Module<Tensor, Tensor> baseLayer, string adapterName, AdapterSettings settings, bool ownsBase)
        : base(nameof(LoraLinear), baseLayer, ownsBase)
    {
        _base = BaseLinear.Of(baseLayer);
        foreach (Parameter parameter in baseLayer.parameters()) parameter.requires_grad = false;

        // Half-precision weights get float32 adapters, as in PEFT: the small numbers that training adds would be lost in them.
        Parameter weight = _base.Weight;
        ScalarType type = weight.dtype is ScalarType.Float16 or ScalarType.BFloat16 ? ScalarType.Float32 : weight.dtype;
        _adapter = new LoraAdapter(adapterName, InFeatures, OutFeatures, settings, type, weight.device);

        register_module(adapterName, _adapter);
        // A module remembers where it was moved to, not where its parameters are. Without this, a model on another device could not be moved off it.
        if (weight.device_type != DeviceType.CPU) this.to(weight.device);
    }

    /// <inheritdoc/>
    public override LoraAdapter Adapter => _adapter;

    /// <inheritdoc/>
    public override long InFeatures => _base.InFeatures;

    /// <inheritdoc/>
    public override long OutFeatures => _base.OutFeatures;

    /// <inheritdoc/>
    public override void Merge(bool keepOriginal = false)
    {
        if (IsMerged) throw new InvalidOperationException($"Adapter '{Adapter.AdapterName}' is merged into this layer already; unmerge it first.");
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Parameter weight = _base.Weight;
        Tensor delta = Oriented();
        if (keepOriginal) _original = weight.detach().clone().DetachFromDisposeScope();
        weight.add_(delta.to(weight.dtype));
        IsMerged = true;
    }

    /// <inheritdoc/>
    public override void Unmerge()
    {
        if (!IsMerged) throw new InvalidOperationException($"Adapter '{Adapter.AdapterName}' is not merged into this layer; there is nothing to unmerge.");
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Parameter weight = _base.Weight;
        if (_original is null)
        {
            weight.sub_(Oriented().to(weight.dtype));
        }
        else
        {
            weight.copy_(_original);
            _original.Dispose();
            _original = null;
        }
        IsMerged = false;
    }

    /// <inheritdoc/>
    internal override bool MergesToFinite()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Parameter weight = _base.Weight;
        return weight.add(Oriented().to(weight.dtype)).isfinite().all().item<bool>();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _original?.Dispose();
            _original = null;
        }
        base.Dispose(disposing);
    }

    // ΔW as the weight is stored, in the calling method's scope.
    private Tensor Oriented()
    {
        Tensor delta = Adapter.ComputeDelta();
        return _base.IsTransposed ? delta.t() : delta;
    }
}
