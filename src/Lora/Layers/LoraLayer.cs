using Lora.Injection;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A layer with its adapter: a frozen base layer and a trainable term that is added to its output.
/// </summary>
/// <remarks>
/// It can stand in the place of its base layer, or beside it as a forward hook; <see cref="LoraModel"/> decides. Hooks that the base layer had before see
/// its own output, without the adapter's term. One thread at a time.
/// </remarks>
public abstract class LoraLayer : nn.Module<Tensor, Tensor>
{
    private readonly HookCount _baseHooks;
    private int _disabled;

    /// <summary>Creates a layer over <paramref name="baseLayer"/>, whose parameters no longer require gradients from here on.</summary>
    /// <param name="name">The name of the module's kind.</param>
    /// <param name="baseLayer">The layer to adapt.</param>
    /// <param name="ownsBase">Whether it becomes a child of this one.</param>
    private protected LoraLayer(string name, nn.Module<Tensor, Tensor> baseLayer, bool ownsBase)
        : base(name)
    {
        ArgumentNullException.ThrowIfNull(baseLayer);
        BaseLayer = baseLayer;
        OwnsBase = ownsBase;
        _baseHooks = new HookCount(baseLayer);
        if (ownsBase) register_module("base_layer", baseLayer);
    }

    /// <summary>The layer that is adapted.</summary>
    public nn.Module<Tensor, Tensor> BaseLayer { get; }

    /// <summary>The adapter of this layer.</summary>
    public abstract LoraAdapter Adapter { get; }

    /// <summary>The width of the layer's input.</summary>
    public abstract long InFeatures { get; }

    /// <summary>The width of the layer's output.</summary>
    public abstract long OutFeatures { get; }

    /// <summary>Whether ΔW is part of the base layer's weight at the moment.</summary>
    public bool IsMerged { get; private protected set; }

    /// <summary>Whether the adapter is switched off.</summary>
    public bool IsDisabled => _disabled > 0;

    /// <summary>Whether the base layer is a child of this one; it is not when this one is a hook beside it.</summary>
    internal bool OwnsBase { get; }

    /// <summary>How often the adapter's term was asked for; 0 means that no forward pass has reached the layer yet.</summary>
    internal long Calls { get; private set; }

    /// <summary>Adds ΔW to the base layer's weight, in place.</summary>
    /// <param name="keepOriginal">Whether to keep a copy of the weight, so that <see cref="Unmerge"/> restores it bit for bit.</param>
    /// <exception cref="InvalidOperationException">The layer is merged already.</exception>
    public abstract void Merge(bool keepOriginal = false);

    /// <summary>Takes ΔW out of the base layer's weight: exactly when the original was kept, else by subtraction.</summary>
    /// <exception cref="InvalidOperationException">The layer is not merged.</exception>
    public abstract void Unmerge();

    /// <summary>Whether the weight with ΔW added has no NaN and no infinity in the weight's own type.</summary>
    internal abstract bool MergesToFinite();

    /// <summary>Runs the base layer and adds the adapter's term.</summary>
    /// <param name="input">Shape <c>[…, in]</c>.</param>
    /// <returns>Shape <c>[…, out]</c>, in the type of the base layer's output.</returns>
    public override Tensor forward(Tensor input)
    {
        Tensor output = BaseLayer.call(input);
        return Contributes() ? WithAdapter(output, input, foreignHooks: _baseHooks.Current) : output;
    }

    /// <summary>The forward hook: gives the base layer's output with the adapter's term, or null to leave it as it is.</summary>
    internal Tensor? Hook(Tensor input, Tensor output) => Contributes() ? WithAdapter(output, input, foreignHooks: _baseHooks.Current - 1) : null;

    /// <summary>Switches the adapter off until <see cref="Enable"/> has been called as often.</summary>
    internal void Disable() => _disabled++;

    internal void Enable() => _disabled--;

    /// <summary>Disposes the adapter and lets the base layer live.</summary>
    internal void Release()
    {
        // It leaves first: disposing a module disposes its children.
        if (OwnsBase) register_module("base_layer", null!);
        Dispose();
    }

    /// <summary>Does nothing: base layer and adapter are registered under their names, and fields that hold them too are no further children.</summary>
    protected override void RegisterComponents()
    {
    }

    private bool Contributes()
    {
        Calls++;
        return _disabled == 0 && !IsMerged;
    }

    // The base layer's output is nobody else's, unless somebody's hook has seen it and may have kept it.
    private Tensor WithAdapter(Tensor output, Tensor input, int foreignHooks)
    {
        using var scope = NewDisposeScope();
        Tensor sum = Adapter.Add(output, input).MoveToOuterDisposeScope();
        if (foreignHooks == 0) output.Dispose();
        return sum;
    }
}
