using Lora.Layers.OnePass;
using Lora.Variants;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A linear layer with low-rank adapters: y = W·x + b + Σ s·(B·A·dropout(x) + c) over the active ones, with W and b frozen (Hu et al. 2021, equation 3).
/// The bias c of the adapter is there only where it was asked for.
/// </summary>
/// <remarks>
/// Use it by hand in a module of your own, in a field of type <c>Module&lt;Tensor, Tensor&gt;</c>:
/// <c>_project = new LoraLinear(nn.Linear(64, 64), rank: 8, alpha: 16);</c>
/// </remarks>
public sealed class LoraLinear : LoraLayer
{
    private readonly LinearView _base;
    private readonly OnePassLinear? _onePass;

    /// <summary>Adapts a linear layer by hand. The new layer owns <paramref name="baseLayer"/> as its child <c>base_layer</c> and freezes it.</summary>
    /// <param name="baseLayer">A <see cref="Linear"/> or a <see cref="TransposedLinear"/>.</param>
    /// <param name="rank">The rank r.</param>
    /// <param name="alpha">The numerator of the scale.</param>
    /// <param name="dropout">The probability with which an element of the adapter's input is dropped in training, from 0 to 1.</param>
    /// <param name="useRankStabilizedScaling">Whether the scale is alpha / √r instead of alpha / r.</param>
    /// <param name="hasBias">Whether the adapter has a bias of its own; see <see cref="LoraConfig.UseLoraBias"/>.</param>
    /// <param name="useDora">Whether the length of each output's row trains apart from its direction; see <see cref="DoraVariant"/>.</param>
    /// <exception cref="ArgumentException">The base layer is of another kind, a setting is out of range, or two do not go together.</exception>
    public LoraLinear(
        nn.Module<Tensor, Tensor> baseLayer, int rank = 8, double alpha = 8, double dropout = 0, bool useRankStabilizedScaling = false, bool hasBias = false, bool useDora = false)
        : this(baseLayer, ViewOf(baseLayer), AdapterSettings.Of(rank, alpha, dropout, useRankStabilizedScaling, hasBias, useDora))
    {
    }

    private LoraLinear(nn.Module<Tensor, Tensor> baseLayer, LinearView view, AdapterSettings settings)
        : this(baseLayer, view, ownsBase: true) => Begin(settings);

    /// <summary>Adapts a layer of any class that computes W·x + b, without an adapter at first.</summary>
    /// <param name="baseLayer">The layer.</param>
    /// <param name="view">How to reach its weight and bias.</param>
    /// <param name="ownsBase">Whether the base layer becomes a child of this one, which it does not when this one is a hook beside it.</param>
    public LoraLinear(nn.Module<Tensor, Tensor> baseLayer, LinearView view, bool ownsBase)
        : base(nameof(LoraLinear), baseLayer, ownsBase)
    {
        ArgumentNullException.ThrowIfNull(view);
        _base = view;
        _onePass = OnePassLinear.Over(this);
    }

    /// <summary>The width of the layer's input.</summary>
    public long InFeatures => _base.InFeatures;

    /// <summary>The width of the layer's output.</summary>
    public long OutFeatures => _base.OutFeatures;

    /// <summary>The base layer's weight as it is stored, without what starts of adapters take off it at the moment.</summary>
    internal Tensor OriginalWeight => Adapters.WithoutStarts ?? _base.Weight;

    /// <summary>The way to compute base and adapter together; null where the base is of a class that may compute something else than W·x + b.</summary>
    internal OnePassLinear? OnePass => _onePass;

    /// <summary>How to reach the base layer's weight and bias.</summary>
    internal LinearView View => _base;

    /// <summary>Whether the base layer stores its weight as <c>[in, out]</c>.</summary>
    public bool IsTransposed => _base.IsTransposed;

    /// <inheritdoc/>
    public override string Signature => $"{InFeatures}→{OutFeatures}";

    /// <inheritdoc/>
    private protected override AdaptedWeight AdaptedWeight => new LinearWeight(_base);

    /// <inheritdoc/>
    protected override LoraAdapter Create(string name, AdapterSettings settings)
    {
        Parameter weight = _base.Weight;
        return new LinearAdapter(name, InFeatures, OutFeatures, settings, AdapterSettings.TypeOver(weight.dtype), weight.device);
    }

    /// <inheritdoc/>
    private protected override Tensor? InOnePass(Tensor input) => _onePass?.Run(input);

    /// <inheritdoc/>
    protected override IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter)
    {
        (Tensor a, Tensor b) = adapter is LinearAdapter linear ? (linear.TermA, linear.TermB) : (adapter.A, adapter.B);
        yield return _base.IsTransposed
            ? WeightChange.Product(_base.Weight, a.t(), b.t(), adapter.Scale)
            : WeightChange.Product(_base.Weight, b, a, adapter.Scale);
        if (adapter.Bias is not null) yield return WeightChange.Sum(_base.Bias!, adapter.Bias, adapter.Scale);
    }

    /// <inheritdoc/>
    protected override string? MergeObstacle(LoraAdapter adapter, bool peftCompatible) => MissingBias(adapter, _base.Bias);

    internal static LinearView ViewOf(nn.Module module)
    {
        ArgumentNullException.ThrowIfNull(module);
        return LinearView.Of(module) ?? throw new ArgumentException(
            $"A {module.GetType().Name} cannot be adapted: LoRA needs a {nameof(Linear)} or a {nameof(TransposedLinear)} here.", nameof(module));
    }
}
