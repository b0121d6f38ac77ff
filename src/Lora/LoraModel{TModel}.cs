using Lora.Injection;
using Lora.Layers;
using Lora.Serialization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora;

/// <summary>
/// The handle on a model's adapters. It stands beside the model, which the caller goes on calling as before.
/// </summary>
/// <remarks>
/// The model stays the caller's: disposing this handle takes the adapters out and leaves the base model as it was before. One thread at a time.
/// </remarks>
/// <typeparam name="TModel">The model's type.</typeparam>
public sealed partial class LoraModel<TModel> : IDisposable
    where TModel : nn.Module
{
    private readonly IReadOnlyList<Attachment> _attachments;
    private readonly IReadOnlyList<AdapterLayer> _layers;
    private readonly HashSet<string> _trainedBefore;
    private readonly TModel _model;
    private readonly PeftAdapterConfig? _file;
    private ForwardObserver? _observer;
    private bool _finished;

    internal LoraModel(TModel model, LoraConfig config, InjectionPlan plan, WrapOptions options, PeftAdapterConfig? file, IReadOnlyList<string> report)
    {
        _model = model;
        _file = file;
        Config = config;
        AdapterName = options.AdapterName;
        LoadReport = report;
        _trainedBefore = model.named_parameters().Where(p => p.parameter.requires_grad).Select(p => p.name).ToHashSet(StringComparer.Ordinal);
        _attachments = plan.Apply(model, options.AdapterName);
        _layers = [.. _attachments.Select(attachment => new AdapterLayer(attachment))];
        if (!options.IsTrainable) SetTrainable(false);
        if (!options.AllowUnreached) _observer = ForwardObserver.Attach(model, CheckReachedInTraining);
    }

    /// <summary>The model, with the adapters in it.</summary>
    public TModel Model => _model;

    /// <summary>The configuration of the adapter, with <c>all-linear</c> resolved to the names of the layers.</summary>
    public LoraConfig Config { get; }

    /// <summary>The adapter's name.</summary>
    public string AdapterName { get; }

    /// <summary>What was accepted on loading though unusual, such as unknown settings; empty for a fresh adapter.</summary>
    public IReadOnlyList<string> LoadReport { get; }

    /// <summary>The adapted layers, in the model's order.</summary>
    public IReadOnlyList<AdapterLayer> Layers => _layers;

    /// <summary>How many parameters train, of how many.</summary>
    public ParameterCounts ParameterCounts
    {
        get
        {
            ThrowIfFinished();
            long trainable = 0, total = 0;
            foreach (Parameter parameter in TiedWeights.Distinct(_model.parameters()))
            {
                total += parameter.numel();
                if (parameter.requires_grad) trainable += parameter.numel();
            }
            return new ParameterCounts(trainable, total);
        }
    }

    /// <summary>The adapter's parameters that require gradients: A and B of each layer, in the model's order. Give them to an optimizer.</summary>
    /// <remarks>Moving the model to another type or device makes new parameters: ask again, and build the optimizer after the move.</remarks>
    /// <returns>The parameters.</returns>
    public IReadOnlyList<Parameter> TrainableParameters()
    {
        ThrowIfFinished();
        return [.. Adapters.SelectMany(adapter => new[] { adapter.A, adapter.B }).Where(parameter => parameter.requires_grad)];
    }

    /// <summary>Sets whether the adapter's parameters require gradients.</summary>
    /// <param name="trainable">Whether they do.</param>
    public void SetTrainable(bool trainable)
    {
        ThrowIfFinished();
        foreach (LoraAdapter adapter in Adapters) adapter.A.requires_grad = adapter.B.requires_grad = trainable;
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
        foreach (LoraLayer layer in LoraLayers)
            if (layer.IsMerged && layer.BaseLayer.parameters().Any()) layer.Unmerge();
        Detach();
    }

    private IEnumerable<LoraAdapter> Adapters => _layers.Select(layer => layer.Layer.Adapter);

    private void CheckReachedInTraining()
    {
        if (!_model.training || !is_grad_enabled() || _layers.Any(layer => layer.Layer.IsDisabled || layer.Layer.IsMerged)) return;
        CheckReached();
        _observer?.Dispose();
        _observer = null;
    }

    private void Detach()
    {
        _observer?.Dispose();
        _observer = null;
        foreach (Attachment attachment in _attachments) attachment.Detach();
        foreach ((string name, Parameter parameter) in _model.named_parameters())
            if (_trainedBefore.Contains(name)) parameter.requires_grad = true;
        _finished = true;
    }

    private void ThrowIfFinished()
    {
        if (_finished) throw new ObjectDisposedException(GetType().Name, "This handle is finished: its adapters have been unloaded. Wrap or load again.");
    }
}
