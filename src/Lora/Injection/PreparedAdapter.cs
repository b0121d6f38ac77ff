using Lora.Initialization;
using Lora.Layers;
using Lora.Parts;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>
/// A new adapter on every planned layer, made completely before the model notices: layers that were adapted already hold it, inactive, and the new layers
/// are not in the model yet. Disposing it takes everything back, unless <see cref="Attach"/> came first.
/// </summary>
internal sealed class PreparedAdapter : IDisposable
{
    private readonly string _name;
    private readonly WrapOptions _options;
    private readonly List<(PlannedLayer Planned, ILoraLayer Layer)> _layers = [];
    private readonly List<AdapterPart> _parts = [];
    private bool _attached;

    private PreparedAdapter(string name, WrapOptions options) => (_name, _options) = (name, options);

    /// <summary>The layers by their paths, in the model's order.</summary>
    internal IEnumerable<(string Path, ILoraLayer Layer)> Layers => _layers.Select(layer => (layer.Planned.Site.Path, layer.Layer));

    /// <summary>The adapter of each layer by the layer's path, in the model's order.</summary>
    internal IEnumerable<(string Path, LoraAdapter Adapter)> Adapters => Layers.Select(layer => (layer.Path, layer.Layer.Adapters[_name]));

    /// <summary>What the adapter has beside its layers; not active yet.</summary>
    internal IReadOnlyList<AdapterPart> Parts => _parts;

    /// <param name="plan">A plan without problems.</param>
    /// <param name="name">The adapter's name, which no layer has yet.</param>
    /// <param name="options">Which type A and B have.</param>
    /// <param name="start">Where A and B get their initial values from; null where a file's values follow.</param>
    internal static PreparedAdapter Make(InjectionPlan plan, string name, WrapOptions options, StartingValues? start)
    {
        var prepared = new PreparedAdapter(name, options);
        bool complete = false;
        try
        {
            foreach (PlannedLayer planned in plan.Layers) prepared.Make(planned, start);
            foreach (AdapterPart part in plan.Parts.Make(name)) prepared._parts.Add(part);
            if (plan.Parts.Tie is PlannedTie tie) prepared._parts.Add(new SharedFactors(name, tie, prepared.Layers.Single(layer => layer.Path == tie.EmbeddingPath).Layer));
            complete = true;
        }
        finally
        {
            if (!complete) prepared.Dispose();
        }
        return prepared;
    }

    /// <summary>Puts the new layers into the model and returns them.</summary>
    internal IReadOnlyList<Attachment> Attach()
    {
        _attached = true;
        var children = new ChildExchange();
        Attachment[] attachments =
        [
            .. _layers.Where(layer => layer.Planned.Site.Layer is null).Select(Attachment (layer) => layer.Planned.Slots is null
                ? new HookAttachment(layer.Planned.Site, layer.Layer)
                : new SwapAttachment(layer.Planned.Site.Path, layer.Layer, layer.Planned.Slots, children)),
        ];
        children.Apply();
        return attachments;
    }

    public void Dispose()
    {
        if (_attached) return;
        foreach ((PlannedLayer planned, ILoraLayer layer) in _layers)
        {
            if (planned.Site.Layer is null) layer.Release();
            else if (layer.Adapters.Contains(_name)) layer.Adapters.Remove(_name);
        }
        _layers.Clear();
        foreach (AdapterPart part in _parts) part.Dispose();
        _parts.Clear();
    }

    /// <summary>Gives the adapter of a layer its initial values, which add nothing.</summary>
    internal void Renew(string path)
    {
        (PlannedLayer planned, ILoraLayer layer) = _layers.Find(layer => layer.Planned.Site.Path == path);
        layer.Adapters.Remove(_name);
        Add(planned, layer, new StartingValues(AdapterInitialization.Kaiming, null));
    }

    private void Make(PlannedLayer planned, StartingValues? start)
    {
        ILoraLayer? existing = planned.Site.Layer;
        ILoraLayer layer = existing ?? planned.Kind.Create(planned.Site.Module, ownsBase: planned.Slots is not null);
        _layers.Add((planned, layer));
        if (existing is null) ((nn.Module)layer).train(planned.Site.Module.training);
        Add(planned, layer, start);
    }

    private void Add(PlannedLayer planned, ILoraLayer layer, StartingValues? start)
    {
        layer.Adapters.TakeStartsOut();
        LoraAdapter adapter = layer.Adapters.Add(_name, planned.Settings with { Initialize = start is not null });
        adapter.Variant?.ReadBase(adapter);
        start?.Set(planned.Site.Path, layer, adapter);
        // Drawn in float32 and rounded then, as in PEFT.
        if (!_options.UpcastAdapters && planned.Site.Module.parameters().FirstOrDefault() is { } weight && weight.dtype != adapter.A.dtype) adapter.to(weight.dtype);
        start?.Keep(adapter);
        layer.Adapters.Refresh();
    }
}
