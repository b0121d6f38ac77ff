using Lora.Variants;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A convolution of one, two or three dimensions with low-rank adapters: y = W∗x + b + Σ s·(B∗(A∗dropout(x)) + c) over the active ones, with W and b frozen.
/// A slides with the base layer's stride, padding, dilation and padding mode.
/// </summary>
/// <remarks>
/// <para>
/// A convolution with groups is merged exactly: A reaches all input channels, also those outside a group, as in PEFT, so while an adapter is merged, and after
/// <see cref="LoraModel{TModel}.MergeAndUnload"/>, the base layer is one without groups, <c>groups</c> times as large, whose weight is zero where neither the
/// groups nor ΔW reach. Unmerging gives it its groups back.
/// </para>
/// <para>
/// Use it by hand in a module of your own, in a field of type <c>Module&lt;Tensor, Tensor&gt;</c>:
/// <c>_stem = new LoraConv(nn.Conv2d(3, 64, 7, stride: 2, padding: 3), rank: 8, alpha: 16);</c>
/// </para>
/// </remarks>
public sealed class LoraConv : LoraLayer
{
    private readonly Convolution _convolution;
    private readonly ConvolutionGeometry _geometry;

    // Those of the layer itself, which has none while something is merged.
    private readonly long _groups;

    /// <summary>Adapts a convolution by hand. The new layer owns <paramref name="baseLayer"/> as its child <c>base_layer</c> and freezes it.</summary>
    /// <param name="baseLayer">A <see cref="Conv1d"/>, <see cref="Conv2d"/> or <see cref="Conv3d"/>.</param>
    /// <param name="rank">The rank r, a multiple of the layer's groups.</param>
    /// <param name="alpha">The numerator of the scale.</param>
    /// <param name="dropout">The probability with which an element of the adapter's input is dropped in training, from 0 to 1.</param>
    /// <param name="useRankStabilizedScaling">Whether the scale is alpha / √r instead of alpha / r.</param>
    /// <param name="hasBias">Whether the adapter has a bias of its own; see <see cref="LoraConfig.UseLoraBias"/>.</param>
    /// <param name="useDora">Whether the length of each output channel's row trains apart from its direction; see <see cref="DoraVariant"/>.</param>
    /// <exception cref="ArgumentException">The base layer is of another kind, a setting is out of range, or two do not go together.</exception>
    public LoraConv(
        Convolution baseLayer, int rank = 8, double alpha = 8, double dropout = 0, bool useRankStabilizedScaling = false, bool hasBias = false, bool useDora = false)
        : this(Known(baseLayer), ownsBase: true) => Begin(AdapterSettings.Of(rank, alpha, dropout, useRankStabilizedScaling, hasBias, useDora));

    internal LoraConv(Convolution baseLayer, bool ownsBase)
        : base(nameof(LoraConv), baseLayer, ownsBase)
    {
        _convolution = baseLayer;
        _geometry = ConvolutionGeometry.Of(baseLayer);
        _groups = baseLayer.groups;
    }

    /// <inheritdoc/>
    public override string Signature => $"{_convolution.in_channels}→{_convolution.out_channels} {_geometry}";

    /// <inheritdoc/>
    private protected override AdaptedWeight AdaptedWeight => new ConvolutionWeight(_convolution, _geometry, _groups);

    /// <inheritdoc/>
    protected override LoraAdapter Create(string name, AdapterSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ConvolutionGroups.ThrowIfIndivisible(_convolution, _groups, settings);
        Parameter weight = _convolution.weight;
        return new ConvAdapter(
            name, _convolution.in_channels, _convolution.out_channels, _groups, _geometry, settings, AdapterSettings.TypeOver(weight.dtype), weight.device);
    }

    /// <inheritdoc/>
    protected override IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter)
    {
        var conv = (ConvAdapter)adapter;
        // A stand-in until the layer's own weight takes this form.
        Parameter weight = _convolution.groups == 1 ? _convolution.weight : new Parameter(BlockMatrix.Diagonal(_convolution.weight, _groups), requires_grad: false);
        yield return WeightChange.Product(weight, conv.UpMatrix, conv.DownMatrix, conv.Scale);
        if (conv.Bias is not null) yield return WeightChange.Sum(_convolution.bias!, conv.Bias, conv.Scale);
    }

    /// <inheritdoc/>
    protected override string? MergeObstacle(LoraAdapter adapter, bool peftCompatible)
    {
        if (adapter is ConvAdapter { UsesPeftGeometry: true } && !peftCompatible)
        {
            return "has a dilation or a padding mode, which PEFT, where the adapter was made, leaves out of lora_A, so that no weight of this layer computes what the adapter does: "
                + $"keep it unmerged, or set {nameof(MergeOptions)}.{nameof(MergeOptions.PeftCompatible)} for the other result that PEFT has after merging";
        }
        return MissingBias(adapter, _convolution.bias);
    }

    /// <inheritdoc/>
    protected override void BeginMerging()
    {
        if (_groups > 1) Replace(BlockMatrix.Diagonal(_convolution.weight, _groups), groups: 1);
    }

    /// <inheritdoc/>
    protected override void EndMerging()
    {
        if (_groups > 1) Replace(BlockMatrix.Blocks(_convolution.weight, _groups), _groups);
    }

    private void Replace(Tensor weight, long groups)
    {
        _convolution.weight = new Parameter(weight, _convolution.weight.requires_grad);
        _convolution.groups = groups;
    }

    private static Convolution Known(Convolution baseLayer)
    {
        ArgumentNullException.ThrowIfNull(baseLayer);
        return baseLayer is Conv1d or Conv2d or Conv3d ? baseLayer : throw new ArgumentException(
            $"A {baseLayer.GetType().Name} cannot be adapted here: a {nameof(Conv1d)}, {nameof(Conv2d)} or {nameof(Conv3d)} is needed, and {nameof(LoraConvTranspose)} for a transposed one.", nameof(baseLayer));
    }
}
