using Lora.Injection;
using Lora.Mixing;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A layer of one input with its adapters: a frozen base layer and trainable terms that are added to its output.
/// </summary>
/// <remarks>
/// It can stand in the place of its base layer, or beside it as a forward hook; <see cref="LoraModel"/> decides. Hooks that the base layer had before see
/// its own output, without the adapters' terms. One thread at a time.
/// </remarks>
public abstract class LoraLayer : nn.Module<Tensor, Tensor>, ILoraLayer
{
    private readonly HookCount _baseHooks;
    private readonly bool _ownsBase;
    private long _calls;

    /// <summary>Creates a layer over <paramref name="baseLayer"/>, without adapters at first.</summary>
    /// <param name="name">The name of the module's kind.</param>
    /// <param name="baseLayer">The layer to adapt.</param>
    /// <param name="ownsBase">Whether it becomes a child of this one, under the name <c>base_layer</c>.</param>
    protected LoraLayer(string name, nn.Module<Tensor, Tensor> baseLayer, bool ownsBase)
        : base(name)
    {
        ArgumentNullException.ThrowIfNull(baseLayer);
        BaseLayer = baseLayer;
        Adapters = new AdapterSet(this, this);
        _ownsBase = ownsBase;
        _baseHooks = HookCount.OfOutput(baseLayer);
        if (ownsBase) register_module("base_layer", baseLayer);
        // A module remembers where it was moved to, not where its parameters are. Without this, a model on another device could not be moved off it.
        if (baseLayer.parameters().FirstOrDefault() is { } parameter && parameter.device_type != DeviceType.CPU) this.to(parameter.device);
    }

    /// <summary>The layer that is adapted.</summary>
    public nn.Module<Tensor, Tensor> BaseLayer { get; }

    /// <inheritdoc/>
    nn.Module ILoraLayer.BaseLayer => BaseLayer;

    /// <inheritdoc/>
    public AdapterSet Adapters { get; }

    /// <inheritdoc cref="ILoraLayer.Adapter"/>
    public LoraAdapter Adapter => Adapters.FirstActive;

    /// <inheritdoc/>
    public abstract string Signature { get; }

    /// <inheritdoc/>
    bool ILoraLayer.OwnsBase => _ownsBase;

    /// <inheritdoc/>
    long ILoraLayer.Calls => _calls;

    /// <inheritdoc/>
    string? ILoraLayer.MixingObstacle => MixingObstacle;

    /// <summary>How many of the base layer's forward hooks are this library's and do not keep the output that they see, beside the one that this layer may have there.</summary>
    internal int HooksThatKeepNothing { get; set; }

    /// <summary>Why the rows of a batch cannot use different adapters on this layer; null where they can, as where the terms are added row by row.</summary>
    private protected virtual string? MixingObstacle => null;

    /// <summary>What a variant may know of the weight that is adapted; null where the layer is made for plain LoRA alone.</summary>
    private protected virtual AdaptedWeight? AdaptedWeight => null;

    /// <summary>Runs the base layer and adds the active adapters' terms.</summary>
    /// <param name="input">The base layer's input.</param>
    /// <returns>A tensor of the shape and type of the base layer's output.</returns>
    public override Tensor forward(Tensor input)
    {
        if (InOnePass(input) is Tensor whole)
        {
            CountCall();
            return whole;
        }
        Tensor output = BaseLayer.call(input);
        return WithAdapters(output, input, foreignHooks: _baseHooks.Current - HooksThatKeepNothing) ?? output;
    }

    /// <summary>Counts a call that was answered without <see cref="forward"/>.</summary>
    internal void CountCall() => _calls++;

    /// <summary>Computes base layer and adapters together where the layer has a faster way to do so than one after the other.</summary>
    /// <param name="input">The base layer's input.</param>
    /// <returns>What <see cref="forward"/> returns; null where there is no such way.</returns>
    private protected virtual Tensor? InOnePass(Tensor input) => null;

    /// <summary>Makes an adapter for this layer.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <param name="settings">Its settings.</param>
    /// <returns>The adapter; the caller puts it into this layer.</returns>
    protected abstract LoraAdapter Create(string name, AdapterSettings settings);

    /// <summary>Tells what merging an adapter changes.</summary>
    /// <param name="adapter">One that <see cref="Create"/> made.</param>
    /// <returns>The changes, one for each base parameter that has one; their tensors belong to the current dispose scope.</returns>
    protected abstract IEnumerable<WeightChange> ChangesOf(LoraAdapter adapter);

    /// <summary>Tells what forbids to merge an adapter.</summary>
    /// <param name="adapter">One that <see cref="Create"/> made.</param>
    /// <param name="peftCompatible">Whether what PEFT would merge is wanted where that is not what the layer computes; see <see cref="MergeOptions.PeftCompatible"/>.</param>
    /// <returns>The reason with its remedy, a clause that can follow the layer's path; null, as by default, where nothing does.</returns>
    protected virtual string? MergeObstacle(LoraAdapter adapter, bool peftCompatible) => null;

    /// <summary>Called before <see cref="ChangesOf"/> is carried out for the first adapter that is merged, so that a layer can give its weight another form.</summary>
    protected virtual void BeginMerging()
    {
    }

    /// <summary>Called when the last merged adapter has been taken out of the weight.</summary>
    protected virtual void EndMerging()
    {
    }

    /// <inheritdoc/>
    string? ILoraLayer.MergeObstacle(LoraAdapter adapter, bool peftCompatible) => MergeObstacle(adapter, peftCompatible);

    /// <inheritdoc/>
    void ILoraLayer.BeginMerging() => BeginMerging();

    /// <inheritdoc/>
    void ILoraLayer.EndMerging() => EndMerging();

    /// <inheritdoc/>
    LoraAdapter ILoraLayer.Create(string name, AdapterSettings settings)
    {
        if (settings.Variant is not LoraVariantKind kind) return Create(name, settings);
        AdaptedWeight weight = AdaptedWeight ?? throw new ArgumentException($"A {GetType().Name} has no {kind.Title} ({kind.Setting}).", nameof(settings));
        LoraAdapter adapter = Create(name, settings);
        adapter.Become(kind.Create(adapter, weight, settings));
        return adapter;
    }

    /// <inheritdoc/>
    IEnumerable<WeightChange> ILoraLayer.ChangesOf(LoraAdapter adapter) => adapter.Variant is null ? ChangesOf(adapter) : adapter.Variant.Merged(adapter, ChangesOf(adapter));

    /// <inheritdoc/>
    IDisposable ILoraLayer.AttachHook() =>
        new HookRemoval(BaseLayer.register_forward_hook((_, input, output) => WithAdapters(output, input, foreignHooks: _baseHooks.Current - HooksThatKeepNothing - 1)!).remove);

    /// <inheritdoc/>
    void ILoraLayer.Release()
    {
        // It leaves first: disposing a module disposes its children.
        if (_ownsBase) register_module("base_layer", null!);
        Dispose();
    }

    /// <summary>Sets the mode of the base layer and the adapters. With <see cref="WrapOptions.MergeInEvaluation"/> it merges them too, or unmerges them.</summary>
    /// <param name="train">Whether the layer trains.</param>
    public override void train(bool train = true)
    {
        base.train(train);
        Adapters.FollowMode(train);
    }

    /// <summary>Does nothing: base layer and adapters are registered under their names, and fields that hold them too are no further children.</summary>
    protected override void RegisterComponents()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) Adapters.Release();
        base.Dispose(disposing);
    }

    /// <summary>Puts a first adapter into a layer that was made by hand, makes it active and freezes the base layer.</summary>
    private protected void Begin(AdapterSettings settings)
    {
        Adapters.Add(LoraModel.DefaultAdapter, settings);
        Adapters.SetActive(LoraModel.DefaultAdapter);
        foreach (var parameter in BaseLayer.parameters()) parameter.requires_grad = false;
    }

    // A bias needs one to be merged into.
    private protected static string? MissingBias(LoraAdapter adapter, Parameter? baseBias) => adapter.Bias is not null && baseBias is null
        ? "has no bias, so the adapter's bias (lora_bias) has nothing to be merged into: keep the adapter unmerged, or give the base layer a bias of zeros"
        : null;

    // Null where nothing is to be added. The base layer's output is nobody else's, unless somebody's hook has seen it and may have kept it.
    private Tensor? WithAdapters(Tensor output, Tensor input, int foreignHooks)
    {
        _calls++;
        if (Adapters.Mix is LayerMix mix)
        {
            bool fits = mix.Fits(input);
            Tensor? mixed = fits ? mix.Add(output, input, mayOverwrite: foreignHooks == 0) : null;
            if ((!fits || mixed is not null) && !ReferenceEquals(mixed, output) && foreignHooks == 0) output.Dispose();
            return fits ? mixed : throw mix.Misfit(input);
        }
        LoraAdapter[] adapters = Adapters.Contributing;
        if (adapters.Length == 0) return null;
        using var scope = NewDisposeScope();
        // Where the types differ the sum is taken in the wider one and rounded once.
        Tensor sum = output;
        foreach (LoraAdapter adapter in adapters) sum = adapter.AddTo(sum, output, input);
        sum = (sum.dtype == output.dtype ? sum : sum.to(output.dtype)).MoveToOuterDisposeScope();
        if (foreignHooks == 0) output.Dispose();
        return sum;
    }
}
