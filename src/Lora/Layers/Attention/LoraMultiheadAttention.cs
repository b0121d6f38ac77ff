using Lora.Injection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A multi-head attention with low-rank adapters on its input projections (<c>in_proj_weight</c>, the stacked W_q, W_k, W_v) and on its output projection:
/// it computes what the base layer would with W + Σ s·B·A in the place of each adapted W.
/// </summary>
/// <remarks>
/// The base layer is native and uses its weights where they are, so they hold W + ΔW for the moment of each pass and are restored bit for bit behind it, also
/// when the pass fails. A pass that needs gradients is run once more in backward, with the random numbers of the first, so that attention dropout agrees;
/// the second-order gradient is not defined. Dropout of the adapter's input has no meaning here and is left out, as in PEFT.
/// In the field of a parent it has the type <c>Module&lt;Tensor, Tensor, Tensor, Tensor, bool, Tensor, Tuple&lt;Tensor, Tensor&gt;&gt;</c>.
/// </remarks>
public sealed class LoraMultiheadAttention : nn.Module<Tensor, Tensor, Tensor, Tensor, bool, Tensor, Tuple<Tensor, Tensor>>, ILoraLayer
{
    /// <summary>The name of the part that holds the stacked projections of query, key and value.</summary>
    public const string InProjection = "in_proj";

    /// <summary>The name of the part that projects the output.</summary>
    public const string OutProjection = "out_proj";

    private readonly HookCount _baseHooks;
    private readonly bool _ownsBase;
    private long _calls;

    /// <summary>Adapts a layer by hand. The new layer owns <paramref name="baseLayer"/> as its child <c>base_layer</c> and freezes it.</summary>
    /// <param name="baseLayer">The layer; query, key and value must have the same width.</param>
    /// <param name="rank">The rank r.</param>
    /// <param name="alpha">The numerator of the scale.</param>
    /// <param name="useRankStabilizedScaling">Whether the scale is alpha / √r instead of alpha / r.</param>
    /// <exception cref="ArgumentException">The base layer cannot be adapted, or a setting is out of range.</exception>
    public LoraMultiheadAttention(MultiheadAttention baseLayer, int rank = 8, double alpha = 8, bool useRankStabilizedScaling = false)
        : this(Checked(baseLayer), ownsBase: true)
    {
        Adapters.Add(LoraModel.DefaultAdapter, AdapterSettings.Of(rank, alpha, 0, useRankStabilizedScaling));
        Adapters.SetActive(LoraModel.DefaultAdapter);
        foreach (Parameter parameter in baseLayer.parameters()) parameter.requires_grad = false;
    }

    internal LoraMultiheadAttention(MultiheadAttention baseLayer, bool ownsBase)
        : base(nameof(LoraMultiheadAttention))
    {
        BaseLayer = baseLayer;
        Adapters = new AdapterSet(this, this);
        _ownsBase = ownsBase;
        _baseHooks = HookCount.OfOutput(baseLayer);
        if (ownsBase) register_module("base_layer", baseLayer);
        // A module remembers where it was moved to, not where its parameters are. Without this, a model on another device could not be moved off it.
        if (WeightOf(baseLayer, OutProjection) is { } weight && weight.device_type != DeviceType.CPU) this.to(weight.device);
    }

    /// <summary>The layer that is adapted.</summary>
    public MultiheadAttention BaseLayer { get; }

    /// <inheritdoc/>
    nn.Module ILoraLayer.BaseLayer => BaseLayer;

    /// <inheritdoc/>
    public AdapterSet Adapters { get; }

    /// <inheritdoc/>
    public string Signature => $"{WeightOf(BaseLayer, OutProjection).shape[1]}→{WeightOf(BaseLayer, OutProjection).shape[0]}";

    /// <inheritdoc/>
    bool ILoraLayer.OwnsBase => _ownsBase;

    /// <inheritdoc/>
    long ILoraLayer.Calls => _calls;

    /// <summary>Runs the base layer with the active adapters' updates in its weights.</summary>
    /// <param name="query">Shape <c>[length, batch, width]</c>.</param>
    /// <param name="key">Shape <c>[source length, batch, width]</c>.</param>
    /// <param name="value">Shape <c>[source length, batch, width]</c>.</param>
    /// <param name="key_padding_mask">Shape <c>[batch, source length]</c>, or null.</param>
    /// <param name="need_weights">Whether the weights of the attention are returned too.</param>
    /// <param name="attn_mask">What is added to the scores, or null.</param>
    /// <returns>The output, shape <c>[length, batch, width]</c>, and the weights, which are an invalid tensor where they were not asked for.</returns>
    public override Tuple<Tensor, Tensor> forward(Tensor query, Tensor key, Tensor value, Tensor key_padding_mask, bool need_weights, Tensor attn_mask)
    {
        _calls++;
        LoraAdapter[] adapters = [.. Adapters.Contributing];
        return adapters.Length == 0
            ? BaseLayer.call(query, key, value, key_padding_mask, need_weights, attn_mask)
            : new AttentionPass(this, adapters, BaseLayer.call, need_weights).Run(query, key, value, key_padding_mask, attn_mask);
    }

    /// <summary>Runs the base layer as <c>forward</c> does; the masks may be left out.</summary>
    /// <param name="query">Shape <c>[length, batch, width]</c>.</param>
    /// <param name="key">Shape <c>[source length, batch, width]</c>.</param>
    /// <param name="value">Shape <c>[source length, batch, width]</c>.</param>
    /// <param name="keyPaddingMask">Shape <c>[batch, source length]</c>, or null.</param>
    /// <param name="needWeights">Whether the weights of the attention are returned too.</param>
    /// <param name="attentionMask">What is added to the scores, or null.</param>
    /// <returns>The output and the weights, as of <c>forward</c>.</returns>
    public new Tuple<Tensor, Tensor> call(Tensor query, Tensor key, Tensor value, Tensor? keyPaddingMask = null, bool needWeights = true, Tensor? attentionMask = null) =>
        base.call(query, key, value, keyPaddingMask!, needWeights, attentionMask!);

    /// <inheritdoc/>
    LoraAdapter ILoraLayer.Create(string name, AdapterSettings settings)
    {
        IReadOnlyList<KeyValuePair<string, AdapterSettings>> parts = settings.Parts ?? [new(InProjection, settings), new(OutProjection, settings)];
        IEnumerable<string> absent = PartNames.Except(parts.Select(part => part.Key));
        return new CompositeAdapter(
            name,
            settings with { Dropout = 0 },
            parts.Select(part => Make(name, part.Key, part.Value with { Dropout = 0, Initialize = settings.Initialize })),
            absent.SelectMany(part => Shapes(part, settings.Rank)));
    }

    /// <inheritdoc/>
    IEnumerable<WeightChange> ILoraLayer.ChangesOf(LoraAdapter adapter) => ChangesOf(adapter);

    /// <inheritdoc/>
    IDisposable ILoraLayer.AttachHook() => new HookRemoval(BaseLayer.register_forward_hook((_, query, key, value, padding, needWeights, mask, output) =>
    {
        _calls++;
        LoraAdapter[] adapters = [.. Adapters.Contributing];
        if (adapters.Length == 0) return null!; // It leaves the output as it is.
        // Forward itself, since the hooks are being run already.
        Tuple<Tensor, Tensor> adapted = new AttentionPass(this, adapters, BaseLayer.forward, needWeights).Run(query, key, value, padding, mask);
        if (_baseHooks.Current > 1) return adapted;
        // The base layer's output is nobody else's, unless somebody's hook has seen it and may have kept it.
        output.Item1.Dispose();
        output.Item2.Dispose();
        return adapted;
    }).remove);

    /// <inheritdoc/>
    void ILoraLayer.Release()
    {
        // It leaves first: disposing a module disposes its children.
        if (_ownsBase) register_module("base_layer", null!);
        Dispose();
    }

    /// <summary>The names of the parts, in the order of their registration.</summary>
    internal static IReadOnlyList<string> PartNames { get; } = [InProjection, OutProjection];

    /// <summary>Why a layer cannot be adapted, as a clause that follows its path; null where it can.</summary>
    internal static string? Refusal(nn.Module module) => module.named_parameters().Any(p => p.name == "in_proj_weight")
        ? null
        : "has widths of key and value of their own (kdim, vdim), so that its input projections are no single matrix, which one pair could adapt: leave it out, or use an attention of equal widths";

    /// <summary>The weight of a part, looked up anew each time.</summary>
    internal static Parameter WeightOf(nn.Module module, string part)
    {
        string name = part == InProjection ? "in_proj_weight" : "out_proj.weight";
        return module.named_parameters().First(p => p.name == name).parameter;
    }

    internal IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter)
    {
        var composite = (CompositeAdapter)adapter;
        foreach (string name in composite.PartNames)
        {
            LoraAdapter part = composite.Part(name)!;
            yield return WeightChange.Product(WeightOf(BaseLayer, name), part.B, part.A, part.Scale);
        }
    }

    /// <summary>Does nothing: base layer and adapters are registered under their names.</summary>
    protected override void RegisterComponents()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) Adapters.Release();
        base.Dispose(disposing);
    }

    // PEFT adds the update of out_proj twice, in forward and in merging. A file's number therefore stands for twice its value.
    private CompositePair Make(string adapterName, string part, AdapterSettings settings)
    {
        Parameter weight = WeightOf(BaseLayer, part);
        var adapter = new LinearAdapter(adapterName, weight.shape[1], weight.shape[0], settings, AdapterSettings.TypeOver(weight.dtype), weight.device);
        return new CompositePair(part, PrefixOf(part), adapter, FileFactor: part == OutProjection ? 2 : 1);
    }

    private IEnumerable<KeyValuePair<string, long[]>> Shapes(string part, long rank)
    {
        long[] shape = WeightOf(BaseLayer, part).shape;
        return [new(PrefixOf(part) + "lora_A.weight", [rank, shape[1]]), new(PrefixOf(part) + "lora_B.weight", [shape[0], rank])];
    }

    private static string PrefixOf(string part) => part == InProjection ? "" : "base_layer.out_proj.";

    private static MultiheadAttention Checked(MultiheadAttention baseLayer)
    {
        ArgumentNullException.ThrowIfNull(baseLayer);
        return Refusal(baseLayer) is string refusal ? throw new ArgumentException($"The layer {refusal}.", nameof(baseLayer)) : baseLayer;
    }
}
