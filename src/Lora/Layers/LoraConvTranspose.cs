using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A transposed convolution of one, two or three dimensions with low-rank adapters, whose A is a transposed convolution with the base layer's stride, padding,
/// output padding, dilation and groups.
/// </summary>
/// <remarks>
/// The output size that such a layer can be called with beside its input is not passed on; its <c>output_padding</c> decides. Use it by hand in a module of your
/// own, in a field of type <c>Module&lt;Tensor, Tensor&gt;</c>: <c>_up = new LoraConvTranspose(nn.ConvTranspose2d(64, 32, 2, stride: 2), rank: 8, alpha: 16);</c>
/// </remarks>
public sealed class LoraConvTranspose : LoraLayer
{
    private readonly ConvolutionTranspose _convolution;
    private readonly ConvolutionGeometry _geometry;

    /// <summary>Adapts a transposed convolution by hand. The new layer owns <paramref name="baseLayer"/> as its child <c>base_layer</c> and freezes it.</summary>
    /// <param name="baseLayer">The transposed convolution.</param>
    /// <param name="rank">The rank r, a multiple of the layer's groups.</param>
    /// <param name="alpha">The numerator of the scale.</param>
    /// <param name="dropout">The probability with which an element of the adapter's input is dropped in training, from 0 to 1.</param>
    /// <param name="useRankStabilizedScaling">Whether the scale is alpha / √r instead of alpha / r.</param>
    /// <param name="hasBias">Whether the adapter has a bias of its own; see <see cref="LoraConfig.UseLoraBias"/>.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public LoraConvTranspose(
        ConvolutionTranspose baseLayer, int rank = 8, double alpha = 8, double dropout = 0, bool useRankStabilizedScaling = false, bool hasBias = false)
        : this(baseLayer, ownsBase: true) => Begin(AdapterSettings.Of(rank, alpha, dropout, useRankStabilizedScaling, hasBias));

    internal LoraConvTranspose(ConvolutionTranspose baseLayer, bool ownsBase)
        : base(nameof(LoraConvTranspose), baseLayer, ownsBase)
    {
        _convolution = baseLayer;
        _geometry = ConvolutionGeometry.Of(baseLayer);
    }

    /// <inheritdoc/>
    public override string Signature => $"{_convolution.in_channels}→{_convolution.out_channels} {_geometry}";

    /// <inheritdoc/>
    protected override LoraAdapter Create(string name, AdapterSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ConvolutionGroups.ThrowIfIndivisible(_convolution, _convolution.groups, settings);
        Parameter weight = _convolution.weight;
        return new ConvTransposeAdapter(
            name, _convolution.in_channels, _convolution.out_channels, _convolution.groups, _geometry, settings, AdapterSettings.TypeOver(weight.dtype), weight.device);
    }

    /// <inheritdoc/>
    protected override IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        yield return WeightChange.Sum(_convolution.weight, adapter.ComputeDelta());
        if (adapter.Bias is not null) yield return WeightChange.Sum(_convolution.bias!, adapter.Bias, adapter.Scale);
    }

    /// <inheritdoc/>
    protected override string? MergeObstacle(LoraAdapter adapter, bool peftCompatible) => MissingBias(adapter, _convolution.bias);
}
