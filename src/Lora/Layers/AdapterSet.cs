using System.Collections;
using System.Diagnostics.CodeAnalysis;
using Lora.Mixing;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// The adapters of one layer: which there are, which of them are active and in which order, and which are part of the base weights at the moment.
/// </summary>
public sealed class AdapterSet : IReadOnlyCollection<LoraAdapter>
{
    private readonly nn.Module _owner;
    private readonly ILoraLayer _layer;
    private readonly OrderedDictionary<string, LoraAdapter> _adapters = new(StringComparer.Ordinal);
    private readonly List<LoraAdapter> _active = [];
    private readonly MergedWeights _merged = new();
    private readonly WrittenStarts _starts = new();
    private int _disabled;
    private LayerMix? _mix;
    private bool _mergedByMode;

    /// <param name="owner">The layer as a module; the adapters become its children.</param>
    /// <param name="layer">The same layer.</param>
    internal AdapterSet(nn.Module owner, ILoraLayer layer)
    {
        _owner = owner;
        _layer = layer;
    }

    /// <summary>The number of adapters, active or not.</summary>
    public int Count => _adapters.Count;

    /// <summary>The active adapters in the order in which their terms are added. Merged ones are among them.</summary>
    public IReadOnlyList<LoraAdapter> Active => _active;

    /// <summary>The adapters whose ΔW is part of the base weights at the moment, in the order of merging.</summary>
    public IReadOnlyList<LoraAdapter> Merged => _merged.Adapters;

    /// <summary>Whether something is merged and the weights of before are kept.</summary>
    internal bool KeepsOriginals => IsMerged && _merged.KeepsOriginals;

    /// <summary>What a base parameter was before anything was merged, where that is kept.</summary>
    internal Tensor? OriginalOf(Parameter weight) => _merged.OriginalOf(_layer, weight);

    /// <summary>Whether at least one adapter is merged.</summary>
    public bool IsMerged => _merged.Adapters.Count > 0;

    /// <summary>Whether the adapters are switched off.</summary>
    public bool IsDisabled => _disabled > 0;

    /// <summary>The adapter of a name.</summary>
    /// <param name="name">The name.</param>
    /// <exception cref="ArgumentException">The layer has no adapter of that name.</exception>
    public LoraAdapter this[string name] => Find(name) ?? throw new ArgumentException($"This layer has no adapter '{name}'; it has {NamesInWords}.", nameof(name));

    /// <summary>The names, for an error's text.</summary>
    internal string NamesInWords => Count == 0 ? "none" : string.Join(", ", _adapters.Keys.Select(name => $"'{name}'"));

    /// <exception cref="InvalidOperationException">None is active.</exception>
    internal LoraAdapter FirstActive => _active.Count > 0
        ? _active[0]
        : throw new InvalidOperationException($"No adapter is active on this layer; it has {NamesInWords}.");

    /// <summary>
    /// What a forward pass has to add to the base layer's output for every row alike, not to be changed; nothing where each row has its own. It is asked for at each
    /// pass and so found out beforehand.
    /// </summary>
    internal LoraAdapter[] Contributing { get; private set; } = [];

    /// <summary>Which adapter each row of the batch uses; null where the active ones work on all rows, or none does.</summary>
    internal LayerMix? Mix
    {
        get => IsDisabled ? null : _mix;
        set
        {
            _mix = value;
            Refresh();
        }
    }

    /// <summary>Whether the mode of evaluation merges the active adapters, and that of training unmerges them.</summary>
    internal bool MergesInEvaluation { get; set; }

    /// <summary>Whether the layer has an adapter of a name.</summary>
    /// <param name="name">The name.</param>
    /// <returns>Whether it has.</returns>
    public bool Contains(string name) => _adapters.ContainsKey(name);

    /// <inheritdoc/>
    public IEnumerator<LoraAdapter> GetEnumerator() => _adapters.Values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Makes the named adapters active, in this order, and all others inactive. Names that this layer does not have are passed over.</summary>
    /// <param name="names">The names.</param>
    /// <exception cref="InvalidOperationException">An adapter that is merged would become inactive, or one that rescales the base weight active beside it.</exception>
    public void SetActive(params IEnumerable<string> names)
    {
        LoraAdapter[] active = [.. names.Select(Find).OfType<LoraAdapter>()];
        if (_merged.Adapters.FirstOrDefault(adapter => !active.Contains(adapter)) is LoraAdapter merged)
            throw new InvalidOperationException($"Adapter '{merged.AdapterName}' is merged into the base weights and cannot become inactive: unmerge it first.");
        if (MergeRules.Clash(active, _merged.Adapters) is string clash) throw new InvalidOperationException(clash);
        _active.Clear();
        _active.AddRange(active);
        Refresh();
    }

    /// <summary>Adds ΔW of every active adapter that is not merged yet to the base layer's weights, in place.</summary>
    /// <param name="keepOriginal">Whether copies of the weights are kept, so that <see cref="Unmerge()"/> restores them bit for bit.</param>
    /// <param name="peftCompatible">Whether what PEFT would merge is wanted where that is not what the layer computes; see <see cref="MergeOptions.PeftCompatible"/>.</param>
    /// <exception cref="InvalidOperationException">Every active adapter is merged already, none is active, or one cannot be merged exactly.</exception>
    public void Merge(bool keepOriginal = false, bool peftCompatible = false)
    {
        LoraAdapter[] adapters = [.. _active.Except(_merged.Adapters)];
        if (MergeRules.Obstacles(_layer, adapters, keepOriginal, peftCompatible, isFinal: false).FirstOrDefault() is (LoraAdapter refused, string obstacle))
            throw new InvalidOperationException($"Adapter '{refused.AdapterName}' cannot be merged: this layer {obstacle}. Nothing was merged.");
        foreach (LoraAdapter adapter in adapters.Length > 0 ? adapters : [FirstActive]) Merge(adapter, keepOriginal);
    }

    /// <summary>Takes ΔW of every merged adapter out of the base layer's weights: exactly when the originals were kept, else by subtraction.</summary>
    /// <exception cref="InvalidOperationException">No adapter is merged.</exception>
    public void Unmerge()
    {
        LoraAdapter[] adapters = [.. _merged.Adapters.Reverse()];
        foreach (LoraAdapter adapter in adapters.Length > 0 ? adapters : [FirstActive]) Unmerge(adapter);
    }

    /// <summary>Adds ΔW of an adapter to the base weights, in place.</summary>
    /// <param name="adapter">One of this layer's active adapters.</param>
    /// <param name="keepOriginal">Whether copies of the weights are kept, so that unmerging restores them bit for bit.</param>
    /// <exception cref="InvalidOperationException">The adapter is merged already.</exception>
    internal void Merge(LoraAdapter adapter, bool keepOriginal)
    {
        if (_merged.Adapters.Contains(adapter))
            throw new InvalidOperationException($"Adapter '{adapter.AdapterName}' is merged into this layer already; unmerge it first.");
        if (_mix is not null)
            throw new InvalidOperationException($"Adapter '{adapter.AdapterName}' cannot be merged while each row of the batch has its own adapter: end the scope of UsePerSample first.");
        WriteStarts([]);
        _merged.Add(_layer, adapter, keepOriginal);
        Refresh();
    }

    /// <summary>Takes ΔW of an adapter out of the base weights: exactly when the originals were kept, else by subtraction.</summary>
    /// <exception cref="InvalidOperationException">The adapter is not merged.</exception>
    internal void Unmerge(LoraAdapter adapter)
    {
        if (!_merged.Adapters.Contains(adapter))
            throw new InvalidOperationException($"Adapter '{adapter.AdapterName}' is not merged into this layer; there is nothing to unmerge.");
        _merged.Remove(_layer, adapter);
        Refresh();
    }

    internal LoraAdapter? Find(string name) => _adapters.GetValueOrDefault(name);

    internal bool TryFind(string name, [NotNullWhen(true)] out LoraAdapter? adapter) => _adapters.TryGetValue(name, out adapter);

    /// <summary>Puts a fresh adapter in, which is not active.</summary>
    internal LoraAdapter Add(string name, AdapterSettings settings)
    {
        LoraAdapter adapter = _layer.Create(name, settings);
        _adapters.Add(name, adapter);
        _owner.register_module(name, adapter);
        adapter.train(_owner.training);
        // A module remembers where it was moved to, not where its parameters are: without this it could not be moved off another device.
        if (adapter.A.device_type != DeviceType.CPU) adapter.to(adapter.A.device);
        return adapter;
    }

    /// <summary>Takes an adapter out and disposes it.</summary>
    internal void Remove(string name)
    {
        LoraAdapter adapter = this[name];
        _adapters.Remove(name);
        _active.Remove(adapter);
        Refresh();
        _owner.register_module(name, null!);
        adapter.Dispose();
    }

    internal void Rename(string name, string newName)
    {
        LoraAdapter adapter = this[name];
        _owner.register_module(name, null!);
        _owner.register_module(newName, adapter);
        _adapters.Insert(_adapters.IndexOf(name), newName, adapter);
        _adapters.Remove(name);
        adapter.AdapterName = newName;
        foreach (LoraAdapter part in adapter.Parts) part.AdapterName = newName;
    }

    /// <summary>Gives an adapter another place among the others.</summary>
    internal void Move(string name, int place)
    {
        LoraAdapter adapter = this[name];
        _adapters.Remove(name);
        _adapters.Insert(Math.Min(place, Count), name, adapter);
    }

    /// <summary>The place of an adapter among the others; -1 where the layer does not have it.</summary>
    internal int PlaceOf(string name) => _adapters.IndexOf(name);

    internal void Disable()
    {
        _disabled++;
        Refresh();
    }

    internal void Enable()
    {
        _disabled--;
        Refresh();
    }

    /// <summary>Merges on evaluation and unmerges on training, where that is asked for. What was merged otherwise stays merged.</summary>
    internal void FollowMode(bool training)
    {
        if (training && _mergedByMode)
        {
            _mergedByMode = false;
            if (IsMerged) Unmerge();
        }
        else if (!training && MergesInEvaluation && !IsMerged && !IsDisabled && _mix is null && _active.Count > 0)
        {
            // Thousands of changes of mode must not add up to a drift, so the weights of before are kept.
            Merge(keepOriginal: true);
            _mergedByMode = true;
        }
    }

    /// <summary>Forgets kept weights.</summary>
    internal void Release()
    {
        if (_layer.BaseLayer.parameters().Any()) WriteStarts([]);
        _starts.Forget();
        _merged.Clear();
    }

    /// <summary>The base weight without what starts of adapters take off it at the moment; null where none does.</summary>
    internal Tensor? WithoutStarts => _starts.Original;

    /// <summary>Puts the base weight back as it is without starts, until the next change.</summary>
    internal void TakeStartsOut() => WriteStarts([]);

    /// <summary>Follows a change of what the adapters add.</summary>
    internal void Refresh()
    {
        _layer.Settle();
        Contributing = IsDisabled || _mix is not null ? [] : [.. _active.Except(_merged.Adapters)];
        foreach (LoraAdapter adapter in this) adapter.Variant?.Forget();
        // Beside a merged adapter the start is computed, so that what merging keeps is the base's own weight.
        // So is it beside a variant, which works on the base's own output.
        WriteStarts(IsMerged || Array.Exists(Contributing, adapter => adapter.Variant is not null) ? [] : Contributing.OfType<LinearAdapter>().Where(adapter => adapter.WritesStart));
    }

    private void WriteStarts(IEnumerable<LinearAdapter> adapters)
    {
        if (_layer is LoraLinear linear) _starts.Set(linear, adapters);
    }
}
