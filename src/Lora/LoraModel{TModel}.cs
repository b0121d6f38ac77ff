using Lora.Injection;
using Lora.Layers;
using Lora.Parts;
using Lora.Variants;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora;

/// <summary>
/// The handle on a model's adapters. It stands beside the model, which the caller goes on calling as before.
/// </summary>
/// <remarks>
/// <para>The model stays the caller's: disposing this handle takes the adapters out and leaves the base model as it was before.</para>
/// <para>One thread at a time: which adapters are active, disabled, merged or chosen for samples is the state of the layers, the same for every thread that calls
/// the model, so a pass must not run while another thread changes it. Passes alone may run beside each other where the base model allows that, outside of
/// <see cref="UsePerSample"/>. Scopes
/// (<see cref="Use"/>, <see cref="UsePerSample"/>, <see cref="Disable"/>) do not follow an <c>await</c>: end them on the thread that began them.</para>
/// </remarks>
/// <typeparam name="TModel">The model's type.</typeparam>
public sealed partial class LoraModel<TModel> : IDisposable
    where TModel : nn.Module
{
    private readonly List<AdapterLayer> _layers = [];
    private readonly OrderedDictionary<string, AdapterEntry> _adapters = new(StringComparer.Ordinal);
    private readonly HashSet<string> _trainedBefore;
    private readonly TModel _model;
    private readonly WrapOptions _options;
    private IDisposable? _observer;
    private ILayerReplication? _replication;
    private bool _finished;

    private LoraModel(TModel model, WrapOptions options)
    {
        _model = model;
        _options = options;
        _trainedBefore = model.named_parameters().Where(p => p.parameter.requires_grad).Select(p => p.name).ToHashSet(StringComparer.Ordinal);
        foreach (Parameter parameter in model.parameters().Where(parameter => parameter.requires_grad)) parameter.requires_grad = false;
    }

    /// <summary>The model, with the adapters in it.</summary>
    public TModel Model => _model;

    /// <summary>The adapted layers, in the model's order.</summary>
    public IReadOnlyList<AdapterLayer> Layers => _layers;

    /// <summary>How many parameters train, of how many.</summary>
    public ParameterCounts ParameterCounts
    {
        get
        {
            ThrowIfFinished();
            long trainable = 0, total = 0;
            foreach (Parameter parameter in TiedWeights.Distinct(_model.parameters().Concat(_parts.SelectMany(part => part.Unlisted))))
            {
                total += parameter.numel();
                if (parameter.requires_grad) trainable += parameter.numel();
            }
            return new ParameterCounts(trainable, total);
        }
    }

    /// <summary>
    /// The parameters of all adapters that require gradients: A, B and what a variant adds (such as DoRA's magnitude) of each layer, in the model's order, then biases, full copies of modules and rows of
    /// embeddings, where adapters have such. Give them to an optimizer.
    /// </summary>
    /// <remarks>Moving the model to another type or device makes new parameters: ask again, and build the optimizer after the move.</remarks>
    /// <returns>The parameters.</returns>
    public IReadOnlyList<Parameter> TrainableParameters()
    {
        ThrowIfFinished();
        return
        [
            .. LoraLayers.SelectMany(layer => layer.Adapters).SelectMany(adapter => adapter.FileTensors)
                .Concat(_parts.SelectMany(part => part.FileTensors))
                .Select(tensor => tensor.Value)
                .Where(parameter => parameter.requires_grad),
        ];
    }

    /// <summary>Sets whether adapters' parameters require gradients. Nothing else changes that: not activating, not disabling, not merging. B of <see cref="AdapterInitialization.Mica"/> never does.</summary>
    /// <param name="trainable">Whether they do.</param>
    /// <param name="names">The adapters; all where none is named.</param>
    /// <exception cref="ArgumentException">There is no adapter of a name.</exception>
    public void SetTrainable(bool trainable, params IEnumerable<string> names)
    {
        ThrowIfFinished();
        string[] chosen = [.. names];
        CheckKnown(chosen);
        foreach (LoraAdapter adapter in LoraLayers.SelectMany(layer => layer.Adapters).Where(adapter => chosen.Length == 0 || chosen.Contains(adapter.AdapterName)))
            foreach ((_, Parameter parameter) in adapter.FileTensors) parameter.requires_grad = trainable && !(adapter.HasFrozenB && ReferenceEquals(parameter, adapter.B));
        foreach (AdapterPart part in _parts.Where(part => part.Trains && (chosen.Length == 0 || chosen.Contains(part.AdapterName))))
            foreach ((_, Parameter parameter) in part.FileTensors) parameter.requires_grad = trainable;
    }

    /// <summary>Checks that every adapted layer has been reached by a forward pass. It is done without being asked after the model's first training pass through <c>call</c>.</summary>
    /// <exception cref="InvalidOperationException">A layer was not reached, so its adapter would never train.</exception>
    public void CheckReached()
    {
        ThrowIfFinished();
        AdapterLayer[] unreached = [.. _layers.Where(layer => layer.Layer.Calls == 0)];
        if (unreached.Length == 0) return;
        throw new InvalidOperationException(
            $"{unreached.Length} of {_layers.Count} adapted layers were not reached by the forward pass, so their adapters would never train:"
            + string.Concat(unreached.Select(layer => $"\n  - {layer}"))
            + "\nA hooked layer is reached by call(), not by forward(): call it so, or give its field the type Module<Tensor, Tensor>. "
            + "A swapped one is reached through the field or container that it was registered from, not through a copy kept elsewhere. "
            + $"Leave layers that the model does not use out of the targets, or set {nameof(WrapOptions)}.{nameof(WrapOptions.AllowUnreached)}.");
    }

    /// <summary>
    /// Takes the adapters out and leaves the base model as it was before. Merged weights are unmerged: bit for bit with <see cref="MergeOptions.KeepOriginal"/>,
    /// else but for rounding. A model that has been disposed before is left alone.
    /// </summary>
    public void Dispose()
    {
        if (_finished) return;
        foreach (ILoraLayer layer in LoraLayers.Where(layer => layer.Adapters.IsMerged && layer.BaseLayer.parameters().Any())) layer.Adapters.Unmerge();
        foreach (AdapterPart part in _parts.Where(_ => _model.parameters().Any())) part.Unmerge();
        Detach();
    }

    /// <summary>Freezes a model and puts its first adapter in, active.</summary>
    internal static LoraModel<TModel> Start(TModel model, WrapOptions options, AdapterSource source)
    {
        var handle = new LoraModel<TModel>(model, options);
        bool started = false;
        try
        {
            handle.Install(source, options.IsTrainable);
            handle.SetActive(source.Entry.Name);
            started = true;
        }
        finally
        {
            if (!started) handle.Detach();
        }
        return handle;
    }

    private IEnumerable<ILoraLayer> LoraLayers => _layers.Select(layer => layer.Layer);

    private void Install(AdapterSource source, bool isTrainable)
    {
        AdapterLayer[] added = [.. source.Attach().Select(attachment => new AdapterLayer(attachment))];
        _layers.AddRange(added);
        Dictionary<string, int> places = ModuleWalker.Walk(_model).Select((site, index) => KeyValuePair.Create(site.Path, index)).ToDictionary(StringComparer.Ordinal);
        _layers.Sort((a, b) => places[a.Path].CompareTo(places[b.Path]));
        _adapters.Add(source.Entry.Name, source.Entry);
        _parts.AddRange(source.Parts);
        _replication ??= source.TakeReplication();
        foreach (AdapterLayer layer in added) Join(layer);
        FollowTokens(source.Entry.Name);
        if (_options.MergeInEvaluation || source.Entry.Config.Initialization.WritesBase) CheckMergeable(source.Entry.Name);
        SetTrainable(isTrainable, source.Entry.Name);
        if (!_options.AllowUnreached) _observer ??= ForwardObserver.Attach(_model, CheckReachedInTraining);
    }

    // Said at once, since a change of mode is no place for errors.
    private void CheckMergeable(string name)
    {
        bool mergeable = false;
        try
        {
            if (_options.MergeInEvaluation && LoraLayers.Select(layer => layer.Adapters.Find(name)?.Variant).FirstOrDefault(variant => variant?.MergeObstacle is not null) is LoraVariant never)
                throw new InvalidOperationException($"Adapter '{name}' is one of {never.Title}, which cannot be merged, but {nameof(WrapOptions)}.{nameof(WrapOptions.MergeInEvaluation)} asks for it: leave that out.");
            TiedWeights.ThrowIfSharedOutside(_model, _layers.Where(layer => layer.Layer.Adapters.Contains(name)).Select(layer => (layer, layer.Layer.Adapters[name])));
            mergeable = true;
        }
        finally
        {
            if (!mergeable) Remove(name);
        }
    }

    // A layer that comes into open scopes takes part in them.
    private void Join(AdapterLayer layer)
    {
        AdapterSet adapters = layer.Layer.Adapters;
        for (int i = 0; i < _disabled; i++) adapters.Disable();
        adapters.Mix = _choices.LastOrDefault()?.Batch?.For(layer.Path, adapters);
        adapters.MergesInEvaluation = _options.MergeInEvaluation;
    }

    private void CheckReachedInTraining()
    {
        if (!_model.training || !is_grad_enabled() || LoraLayers.Any(layer => layer.Adapters.IsDisabled || layer.Adapters.IsMerged)) return;
        CheckReached();
        _observer?.Dispose();
        _observer = null;
    }

    private void Detach()
    {
        _watch?.Dispose();
        _watch = null;
        foreach (Choice choice in _choices) choice.Parts?.SetActive(false);
        ExchangeParts([]);
        foreach (AdapterPart part in _parts) part.Dispose();
        _parts.Clear();
        _observer?.Dispose();
        _observer = null;
        Attachment.Detach(_layers.Select(layer => layer.Attached));
        _replication?.Dispose();
        _replication = null;
        foreach ((string name, Parameter parameter) in _model.named_parameters())
            if (_trainedBefore.Contains(name)) parameter.requires_grad = true;
        _finished = true;
    }

    private void ThrowIfFinished()
    {
        if (_finished) throw new ObjectDisposedException(GetType().Name, "This handle is finished: its adapters have been unloaded. Wrap or load again.");
    }
}
