using System.Globalization;
using Lora.Injection;
using Lora.Layers;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>Whether ΔW is part of the base weights at the moment; of one at least, where layers were merged one by one.</summary>
    public bool IsMerged => _layers.Any(layer => layer.Layer.IsMerged);

    /// <summary>Adds ΔW = s·B·A to every adapted base weight, in place, so that a forward pass costs what the base model's does.</summary>
    /// <param name="options">Checks and copies; null for the defaults.</param>
    /// <exception cref="InvalidOperationException">
    /// The adapter is merged already, is disabled, would give a NaN or an infinity, or the weight is shared with a module that is not adapted. Nothing is changed then.
    /// </exception>
    public void Merge(MergeOptions? options = null)
    {
        ThrowIfFinished();
        options ??= new MergeOptions();
        if (IsMerged) throw new InvalidOperationException($"Adapter '{AdapterName}' is merged already: unmerge it before merging again.");
        if (IsDisabled) throw Disabled();
        MergeAll(options);
    }

    /// <summary>Takes ΔW out of the base weights again: bit for bit when merged with <see cref="MergeOptions.KeepOriginal"/>, else by subtraction, which leaves a rounding error.</summary>
    /// <exception cref="InvalidOperationException">The adapter is not merged.</exception>
    public void Unmerge()
    {
        ThrowIfFinished();
        if (!IsMerged) throw new InvalidOperationException($"Adapter '{AdapterName}' is not merged: there is nothing to unmerge.");
        foreach (LoraLayer layer in LoraLayers.Where(layer => layer.IsMerged)) layer.Unmerge();
    }

    /// <summary>Merges the adapter, unless that is done already, and takes the adapter layers out. The handle is finished then.</summary>
    /// <param name="options">Checks; null for the defaults.</param>
    /// <returns>The same model, without adapters, with changed weights.</returns>
    /// <exception cref="InvalidOperationException">As for <see cref="Merge"/>.</exception>
    public TModel MergeAndUnload(MergeOptions? options = null)
    {
        ThrowIfFinished();
        if (IsDisabled) throw Disabled();
        MergeAll((options ?? new MergeOptions()) with { KeepOriginal = false });
        Detach();
        return _model;
    }

    /// <summary>Takes the adapter layers out. The handle is finished then.</summary>
    /// <returns>The same model, as it was before.</returns>
    /// <exception cref="InvalidOperationException">The adapter is merged.</exception>
    public TModel Unload()
    {
        ThrowIfFinished();
        if (IsMerged)
            throw new InvalidOperationException($"Adapter '{AdapterName}' is merged: unmerge it to get the base model back, or use {nameof(MergeAndUnload)} to keep the merged weights.");
        Detach();
        return _model;
    }

    // A single layer may have been merged by hand before, through Layers.
    private void MergeAll(MergeOptions options)
    {
        AdapterLayer[] layers = [.. _layers.Where(layer => !layer.Layer.IsMerged)];
        TiedWeights.ThrowIfSharedOutside(_model, layers);
        if (options.CheckFinite && layers.FirstOrDefault(layer => !layer.Layer.MergesToFinite()) is AdapterLayer bad)
        {
            throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture,
                $"Merging adapter '{AdapterName}' would put a NaN or an infinity into the weight of '{bad.Path}': the adapter is damaged, or its scale ({bad.Scale}) is too large for the weight's type. Nothing was merged."));
        }
        foreach (AdapterLayer layer in layers) layer.Layer.Merge(options.KeepOriginal);
    }

    private InvalidOperationException Disabled() => new($"Adapter '{AdapterName}' is disabled: merge it outside the scope of {nameof(Disable)}.");

    private IEnumerable<LoraLayer> LoraLayers => _layers.Select(layer => layer.Layer);
}
