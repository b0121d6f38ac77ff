using System.Globalization;
using Lora.Injection;
using Lora.Layers;
using Lora.Parts;
using static TorchSharp.torch;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>Whether ΔW of an adapter is part of the base weights at the moment; on one layer at least, where layers were merged one by one.</summary>
    public bool IsMerged => MergedAdapters.Count > 0;

    /// <summary>The names of the adapters that are part of the base weights at the moment; on one layer at least, where layers were merged one by one.</summary>
    public IReadOnlyList<string> MergedAdapters => [.. LoraLayers.SelectMany(layer => layer.Adapters.Merged).Select(adapter => adapter.AdapterName).Distinct()];

    /// <summary>
    /// Adds ΔW = s·B·A of the active adapters to every adapted base weight, in place, so that a forward pass costs what the base model's does. With
    /// <see cref="LoraConfig.UseDora"/> the rows then get the adapter's magnitude as their norm.
    /// </summary>
    /// <param name="options">Which adapters, checks and copies; null for the defaults.</param>
    /// <exception cref="ArgumentException">An adapter named in the options is not known.</exception>
    /// <exception cref="InvalidOperationException">
    /// An adapter is merged already, not active or disabled, cannot be merged exactly, would give a NaN or an infinity, or the weight is shared with a module that is not adapted. Nothing is changed then.
    /// </exception>
    public void Merge(MergeOptions? options = null)
    {
        ThrowIfFinished();
        ThrowIfPerSample("nothing can be merged");
        options ??= new MergeOptions();
        IReadOnlyList<string> names = options.Adapters ?? _active;
        CheckKnown(names);
        if (names.Intersect(MergedAdapters).FirstOrDefault() is string merged)
            throw new InvalidOperationException($"Adapter '{merged}' is merged already: unmerge it before merging again.");
        if (names.Except(_active).FirstOrDefault() is string inactive)
            throw new InvalidOperationException($"Adapter '{inactive}' is not active, and merging it would change what the model computes: make it active first.");
        if (names.Count == 0) throw NothingToMerge();
        if (IsDisabled) throw Disabled();
        MergeAll(names, options, isFinal: false);
    }

    /// <summary>Takes ΔW of every merged adapter out of the base weights again: bit for bit when merged with <see cref="MergeOptions.KeepOriginal"/>, else by subtraction, which leaves a rounding error.</summary>
    /// <exception cref="InvalidOperationException">No adapter is merged.</exception>
    public void Unmerge()
    {
        ThrowIfFinished();
        if (!IsMerged) throw new InvalidOperationException($"{(_active.Count == 1 ? $"Adapter '{_active[0]}'" : "No adapter")} is {(_active.Count == 1 ? "not " : "")}merged: there is nothing to unmerge.");
        foreach (ILoraLayer layer in LoraLayers.Where(layer => layer.Adapters.IsMerged)) layer.Adapters.Unmerge();
        foreach (AdapterPart part in _parts) part.Unmerge();
    }

    /// <summary>Takes ΔW of one merged adapter out of the base weights again, as <see cref="Unmerge()"/> does; others stay merged.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    /// <exception cref="InvalidOperationException">It is not merged, or rescales the base weight, which would still hold another adapter.</exception>
    public void Unmerge(string name)
    {
        ThrowIfFinished();
        CheckKnown([name]);
        if (!MergedAdapters.Contains(name)) throw new InvalidOperationException($"Adapter '{name}' is not merged: there is nothing to unmerge.");
        foreach (AdapterSet adapters in LoraLayers.Select(layer => layer.Adapters))
            if (MergeRules.Clash(adapters.Active, [.. adapters.Merged.Where(adapter => adapter.AdapterName != name)]) is string clash) throw new InvalidOperationException(clash);
        foreach (ILoraLayer layer in LoraLayers)
            if (layer.Adapters.Merged.FirstOrDefault(adapter => adapter.AdapterName == name) is LoraAdapter adapter) layer.Adapters.Unmerge(adapter);
        foreach (AdapterPart part in PartsOf(name)) part.Unmerge();
    }

    /// <summary>Merges the active adapters, unless that is done already, and takes the adapter layers out. The handle is finished then.</summary>
    /// <param name="options">Checks; null for the defaults.</param>
    /// <returns>The same model, without adapters, with changed weights.</returns>
    /// <exception cref="InvalidOperationException">As for <see cref="Merge"/>.</exception>
    public TModel MergeAndUnload(MergeOptions? options = null)
    {
        ThrowIfFinished();
        ThrowIfPerSample("nothing can be merged");
        if (IsDisabled) throw Disabled();
        IReadOnlyList<string> names = options?.Adapters ?? _active;
        CheckKnown(names);
        if (names.Count == 0 && !IsMerged) throw NothingToMerge($". Make one active, or take the layers out with {nameof(Unload)}");
        ThrowIfInConflict(names);
        ThrowIfExchangedWhileMerged(names);
        MergeAll(names, options ?? new MergeOptions(), isFinal: true);
        ExchangeParts(names);
        foreach (AdapterPart part in _parts.Where(part => part.IsActive).ToList())
        {
            part.Keep();
            _parts.Remove(part);
        }
        Detach();
        return _model;
    }

    /// <summary>Takes the adapter layers out. The handle is finished then.</summary>
    /// <returns>The same model, as it was before.</returns>
    /// <exception cref="InvalidOperationException">An adapter is merged.</exception>
    public TModel Unload()
    {
        ThrowIfFinished();
        if (MergedAdapters is [string merged, ..])
            throw new InvalidOperationException($"Adapter '{merged}' is merged: unmerge it to get the base model back, or use {nameof(MergeAndUnload)} to keep the merged weights.");
        Detach();
        return _model;
    }

    // A single layer may have been merged by hand before, through Layers.
    private void MergeAll(IReadOnlyList<string> names, MergeOptions options, bool isFinal)
    {
        if (_replication is not null)
            throw new InvalidOperationException("The layers are replicated (layer_replication): copies of a layer share one weight, and merging would add the change of each copy to all of them. Keep the adapter unmerged, or give the copies weights of their own.");
        (AdapterLayer Layer, LoraAdapter[] Adapters)[] todo =
        [
            .. _layers
                .Select(layer => (layer, names.Select(layer.Layer.Adapters.Find).OfType<LoraAdapter>().Except(layer.Layer.Adapters.Merged).ToArray()))
                .Where(pair => pair.Item2.Length > 0),
        ];
        ThrowIfImpossible(todo, options, isFinal);
        TiedWeights.ThrowIfSharedOutside(_model, todo.SelectMany(pair => pair.Adapters.Select(adapter => (pair.Layer, adapter))));
        foreach ((AdapterLayer layer, LoraAdapter[] adapters) in options.CheckFinite ? todo : [])
        {
            if (FirstThatOverflows(layer.Layer, adapters) is not LoraAdapter adapter) continue;
            string before = string.Join(", ", adapters.TakeWhile(other => other != adapter).Select(other => $"'{other.AdapterName}'"));
            throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture,
                $"Merging adapter '{adapter.AdapterName}'{(before.Length > 0 ? $" after {before}" : "")} would put a NaN or an infinity into the weight of '{layer.Path}': the adapter is damaged, or its scale ({adapter.Scale}) is too large for the weight's type. Nothing was merged."));
        }
        if (options.CheckFinite && _parts.FirstOrDefault(part => names.Contains(part.AdapterName) && !IsFinite(part)) is AdapterPart damaged)
            throw new InvalidOperationException($"Merging adapter '{damaged.AdapterName}' would put a NaN or an infinity into '{damaged.Paths[0]}' by {damaged.Setting}: the adapter is damaged. Nothing was merged.");
        foreach ((AdapterLayer layer, LoraAdapter[] adapters) in todo)
        {
            bool keepOriginal = KeepsOriginal(layer.Layer, adapters, options, isFinal);
            foreach (LoraAdapter adapter in adapters) layer.Layer.Adapters.Merge(adapter, keepOriginal);
        }
        foreach (AdapterPart part in _parts.Where(part => names.Contains(part.AdapterName))) part.Merge();
    }

    private static bool IsFinite(AdapterPart part)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return part.FileTensors.All(tensor => tensor.Value.isfinite().all().item<bool>());
    }

    // Before the layers go, the weights of before are kept only where they are already, or where an adapter needs them for the moment.
    private static bool KeepsOriginal(ILoraLayer layer, LoraAdapter[] adapters, MergeOptions options, bool isFinal) =>
        isFinal ? layer.Adapters.KeepsOriginals || (!layer.Adapters.IsMerged && MergeRules.NeedsOriginal(layer, adapters)) : options.KeepOriginal;

    private static void ThrowIfImpossible((AdapterLayer Layer, LoraAdapter[] Adapters)[] todo, MergeOptions options, bool isFinal)
    {
        string[] obstacles =
        [
            .. from pair in todo
               let layer = pair.Layer.Layer
               from found in MergeRules.Obstacles(layer, pair.Adapters, KeepsOriginal(layer, pair.Adapters, options, isFinal), options.PeftCompatible, isFinal)
               select $"\n  - adapter '{found.Adapter.AdapterName}': '{pair.Layer.Path}' {found.Obstacle}",
        ];
        if (obstacles.Length > 0) throw new InvalidOperationException($"Nothing was merged, since merging would change what the model computes:{string.Concat(obstacles)}");
    }

    // The adapters go onto copies one after the other, as they will go onto the weights: each alone may be finite and their sum not.
    private static LoraAdapter? FirstThatOverflows(ILoraLayer layer, IEnumerable<LoraAdapter> adapters)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var merged = new Dictionary<IntPtr, Tensor>();
        foreach (LoraAdapter adapter in adapters)
        {
            foreach (WeightChange change in layer.ChangesOf(adapter))
            {
                Tensor result = change.Result(merged.GetValueOrDefault(change.Weight.Handle), layer.Adapters.OriginalOf(change.Weight) ?? change.Weight);
                if (!result.isfinite().all().item<bool>()) return adapter;
                merged[change.Weight.Handle] = result;
            }
        }
        return null;
    }

    private static InvalidOperationException NothingToMerge(string remedy = "") => new($"No adapter is active: there is nothing to merge{remedy}.");

    private InvalidOperationException Disabled() => new($"{(_active.Count == 1 ? $"Adapter '{_active[0]}' is" : "The adapters are")} disabled: merge {(_active.Count == 1 ? "it" : "them")} outside the scope of {nameof(Disable)}.");
}
