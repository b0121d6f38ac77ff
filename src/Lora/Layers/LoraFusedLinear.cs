using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A linear layer that computes several projections at once, such as query, key and value, with low-rank adapters on some of them: each enabled part of the output
/// gets a term s·B·A·dropout(x) of its own, the others none.
/// </summary>
/// <remarks>
/// loralib calls it MergedLinear. Use it by hand in a module of your own, in a field of type <c>Module&lt;Tensor, Tensor&gt;</c>:
/// <c>_qkv = new LoraFusedLinear(nn.Linear(64, 192), [true, false, true], rank: 8, alpha: 16);</c> or in <see cref="LoraModel"/> by a
/// <see cref="FusedLinearKind"/>.
/// </remarks>
public sealed class LoraFusedLinear : LoraLayer
{
    private readonly LinearView _base;
    private readonly FusedParts _parts;

    /// <summary>Adapts a linear layer by hand. The new layer owns <paramref name="baseLayer"/> as its child <c>base_layer</c> and freezes it.</summary>
    /// <param name="baseLayer">A <see cref="Linear"/> or a <see cref="TransposedLinear"/>.</param>
    /// <param name="enabledParts">For each part of the output in its order, whether it gets an adapter.</param>
    /// <param name="rank">The rank r of each part's adapter.</param>
    /// <param name="alpha">The numerator of the scale.</param>
    /// <param name="dropout">The probability with which an element of the adapter's input is dropped in training, from 0 to 1.</param>
    /// <param name="useRankStabilizedScaling">Whether the scale is alpha / √r instead of alpha / r.</param>
    /// <param name="partWidths">The widths of the parts; null where they are equal.</param>
    /// <exception cref="ArgumentException">The base layer is of another kind, the parts do not add up to its output, none is enabled, or a setting is out of range.</exception>
    public LoraFusedLinear(
        nn.Module<Tensor, Tensor> baseLayer, IReadOnlyList<bool> enabledParts, int rank = 8, double alpha = 8, double dropout = 0,
        bool useRankStabilizedScaling = false, IReadOnlyList<long>? partWidths = null)
        : this(baseLayer, LoraLinear.ViewOf(baseLayer), enabledParts, partWidths, ownsBase: true) =>
        Begin(AdapterSettings.Of(rank, alpha, dropout, useRankStabilizedScaling));

    internal LoraFusedLinear(nn.Module<Tensor, Tensor> baseLayer, LinearView view, IReadOnlyList<bool> enabledParts, IReadOnlyList<long>? partWidths, bool ownsBase)
        : this(baseLayer, view, FusedParts.Of(view.OutFeatures, enabledParts, partWidths), ownsBase)
    {
    }

    private LoraFusedLinear(nn.Module<Tensor, Tensor> baseLayer, LinearView view, FusedParts parts, bool ownsBase)
        : base(nameof(LoraFusedLinear), baseLayer, ownsBase)
    {
        _base = view;
        _parts = parts;
    }

    /// <summary>For each part of the output in its order, whether it has an adapter.</summary>
    public IReadOnlyList<bool> EnabledParts => [.. _parts.All.Select(part => part.IsEnabled)];

    /// <summary>Whether the base layer stores its weight as <c>[in, out]</c>.</summary>
    public bool IsTransposed => _base.IsTransposed;

    /// <inheritdoc/>
    public override string Signature => $"{_base.InFeatures}→{_parts}";

    /// <inheritdoc/>
    protected override LoraAdapter Create(string name, AdapterSettings settings)
    {
        Parameter weight = _base.Weight;
        return new FusedLinearAdapter(name, _base.InFeatures, _parts, settings, AdapterSettings.TypeOver(weight.dtype), weight.device);
    }

    /// <inheritdoc/>
    protected override IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter)
    {
        var fused = (FusedLinearAdapter)adapter;
        yield return _base.IsTransposed
            ? WeightChange.Product(_base.Weight, fused.A.t(), fused.UpMatrix.t(), fused.Scale)
            : WeightChange.Product(_base.Weight, fused.UpMatrix, fused.A, fused.Scale);
    }
}
