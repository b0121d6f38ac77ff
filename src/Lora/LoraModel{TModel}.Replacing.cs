using Lora.Injection;
using Lora.Layers;
using Lora.Parts;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>
    /// Puts a saved adapter in the place of one that is there, under a running model. Rank, alpha, targets and type may be others. The name stays, and with it whether
    /// the adapter is active, its place among the active ones and among all, and whether it trains.
    /// </summary>
    /// <remarks>The parameters are new ones, with the scale of the new configuration: an optimizer over the old ones has to be built anew.</remarks>
    /// <param name="name">The adapter's name.</param>
    /// <param name="path">The folder with PEFT's <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, or a file of the form that <paramref name="loading"/> names.</param>
    /// <param name="loading">The file's form, and what may differ between file and model; null for PEFT's form, in which everything fits.</param>
    /// <returns>What was accepted though unusual; empty as a rule.</returns>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    /// <exception cref="InvalidOperationException">It is merged, or used in a scope of <see cref="UsePerSample"/>, or one of the two has more than its layers, such as trained biases or full copies of modules.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">A file is missing or damaged, or does not fit the model; the model is as it was, with the old adapter.</exception>
    public IReadOnlyList<string> ReplaceAdapter(string name, string path, LoadOptions? loading = null)
    {
        ThrowIfFinished();
        ArgumentException.ThrowIfNullOrEmpty(path);
        CheckKnown([name]);
        if (MergedAdapters.Contains(name))
            throw new InvalidOperationException($"Adapter '{name}' is merged into the base weights: unmerge it before replacing it.");
        ThrowIfNamedPerSample(name);

        string meanwhile = FreeName(name);
        using AdapterSource source = AdapterSource.Saved(_model, _options, meanwhile, path, loading, wrapping: false);
        if (source.Parts.Count > 0 || PartsOf(name).Any())
        {
            throw new InvalidOperationException(
                $"Adapter '{name}', or the one in '{path}', brings weights of the base model's modules by {source.Parts.Concat(PartsOf(name)).First().Setting}, which are not exchanged under a running model: delete it and load the other one instead.");
        }
        if (_active.Contains(name) && LoraLayers.Select(layer => layer.Adapters).Select(adapters => adapters.Find(meanwhile) is LoraAdapter adapter ? MergeRules.Clash([adapter, .. adapters.Active.Where(other => other.AdapterName != name)], adapters.Merged) : null).FirstOrDefault(text => text is not null) is string clash)
            throw new InvalidOperationException(clash.Replace(meanwhile, name, StringComparison.Ordinal));
        PutInPlaceOf(name, source);
        return source.Entry.Report;
    }

    // Nothing fails here: the new adapter is complete, and the old one is only let go.
    private void PutInPlaceOf(string name, AdapterSource source)
    {
        string meanwhile = source.Entry.Name;
        bool isTrainable = LoraLayers.SelectMany(layer => layer.Adapters).Any(adapter => adapter.AdapterName == name && adapter.FileTensors.Any(tensor => tensor.Value.requires_grad));
        Dictionary<ILoraLayer, int> places = LoraLayers.Where(layer => layer.Adapters.Contains(name)).ToDictionary(layer => layer, layer => layer.Adapters.PlaceOf(name));
        (int place, string[] active) = (_adapters.IndexOf(name), [.. _active]);
        Install(source, isTrainable);
        Remove(name);
        foreach (ILoraLayer layer in LoraLayers.Where(layer => layer.Adapters.Contains(meanwhile)))
        {
            layer.Adapters.Rename(meanwhile, name);
            if (places.TryGetValue(layer, out int among)) layer.Adapters.Move(name, among);
        }
        foreach (AdapterPart part in PartsOf(meanwhile)) part.AdapterName = name;
        _adapters.Remove(meanwhile);
        _adapters.Insert(place, name, source.Entry with { Name = name });
        Activate(active);
    }

    // Names are unique in the model and, as modules are registered under them, in each layer.
    private string FreeName(string name)
    {
        string free = name + "'";
        while (_adapters.ContainsKey(free)) free += "'";
        return free;
    }
}
