using Lora.Initialization;
using Lora.Injection;
using Lora.Layers;
using Lora.Parts;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    private List<string> _active = [];

    /// <summary>The names of all adapters, in the order in which they came.</summary>
    public IReadOnlyList<string> AdapterNames => [.. _adapters.Keys];

    /// <summary>The names of the active adapters, in the order in which their terms are added; empty where the base model's output is computed.</summary>
    public IReadOnlyList<string> ActiveAdapters => _active;

    /// <summary>The configuration of the adapter that is active (the first of several, or of all where none is), with <c>all-linear</c> resolved to the names of the layers.</summary>
    /// <exception cref="InvalidOperationException">The model has no adapter.</exception>
    public LoraConfig Config => (_active.Count > 0 ? _active[0] : _adapters.Keys.FirstOrDefault()) is string name
        ? _adapters[name].Config
        : throw new InvalidOperationException("The model has no adapter: add or load one.");

    /// <summary>What was accepted on loading though unusual, such as unknown settings, of every adapter; empty for fresh ones.</summary>
    public IReadOnlyList<string> LoadReport => [.. _adapters.Values.SelectMany(adapter => adapter.Report)];

    /// <summary>The configuration of one adapter, with <c>all-linear</c> resolved to the names of the layers.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    public LoraConfig ConfigOf(string name)
    {
        CheckKnown([name]);
        return _adapters[name].Config;
    }

    /// <summary>Puts a further fresh adapter in. It is not active.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="config">Its configuration; rank, scale and targets are its own.</param>
    /// <param name="isTrainable">Whether its parameters require gradients.</param>
    /// <exception cref="ArgumentException">The name is taken or unusable, or the configuration does not fit the model; every problem is listed, and the model is as it was.</exception>
    public void AddAdapter(string name, LoraConfig config, bool isTrainable = true)
    {
        ThrowIfFinished();
        ArgumentNullException.ThrowIfNull(config);
        CheckFree(name);
        using AdapterSource source = Fresh(name, config);
        string[] problems = [.. Incompatibilities(source)];
        if (problems.Length > 0)
            throw new ArgumentException($"The adapter '{name}' cannot be added:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}", nameof(config));
        Install(source, isTrainable);
    }

    private AdapterSource Fresh(string name, LoraConfig config)
    {
        // What is found out from data is found out about the base model.
        using IDisposable? baseOnly = config.Initialization is CalibratedInitialization ? Disable() : null;
        return AdapterSource.Fresh(_model, _options, name, config, wrapping: false);
    }

    /// <summary>Puts a further saved adapter in. It is not active.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="path">The folder with PEFT's <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, or a file of the form that <paramref name="loading"/> names.</param>
    /// <param name="isTrainable">Whether its parameters require gradients.</param>
    /// <param name="loading">The file's form, and what may differ between file and model; null for PEFT's form, in which everything fits.</param>
    /// <returns>What was accepted though unusual; empty as a rule.</returns>
    /// <exception cref="ArgumentException">The name is taken or unusable.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">A file is missing or damaged, or does not fit the model; the model is as it was.</exception>
    public IReadOnlyList<string> LoadAdapter(string name, string path, bool isTrainable = true, LoadOptions? loading = null)
    {
        ThrowIfFinished();
        ArgumentException.ThrowIfNullOrEmpty(path);
        CheckFree(name);
        using AdapterSource source = AdapterSource.Saved(_model, _options, name, path, loading, wrapping: false);
        string[] problems = [.. Incompatibilities(source)];
        if (problems.Length > 0) throw new AdapterFormatException(path, problems);
        Install(source, isTrainable);
        return source.Entry.Report;
    }

    /// <summary>Makes the named adapters active, in this order, and all others inactive: the model computes the base model's output and their terms. No name means the base model.</summary>
    /// <param name="names">The names.</param>
    /// <exception cref="ArgumentException">There is no adapter of a name, or a name is given twice.</exception>
    /// <exception cref="InvalidOperationException">
    /// An adapter that is merged would become inactive, two would take the place of the same weight, or each sample has its own at the moment. Nothing is changed then.
    /// </exception>
    public void SetActive(params IEnumerable<string> names)
    {
        ThrowIfFinished();
        ThrowIfPerSample($"{nameof(SetActive)} would change nothing");
        Activate(names);
    }

    private void Activate(IEnumerable<string> names)
    {
        string[] active = [.. names];
        CheckKnown(active);
        if (active.GroupBy(name => name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new ArgumentException($"Adapter '{twice.Key}' is named twice; its term would count once only. Use {nameof(SetScale)} to weigh it.", nameof(names));
        if (MergedAdapters.Except(active).FirstOrDefault() is string merged)
            throw new InvalidOperationException($"Adapter '{merged}' is merged into the base weights and cannot become inactive: unmerge it first.");
        foreach (AdapterSet adapters in LoraLayers.Select(layer => layer.Adapters))
            if (MergeRules.Clash(active.Select(adapters.Find).OfType<LoraAdapter>(), adapters.Merged) is string clash) throw new InvalidOperationException(clash);
        ThrowIfInConflict(active);
        ThrowIfExchangedWhileMerged(IsDisabled ? [] : active);
        foreach (ILoraLayer layer in LoraLayers) layer.Adapters.SetActive(active);
        _active = [.. active];
        ActivateParts();
    }

    /// <summary>Gives an adapter another name. Nothing else changes.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="newName">The new one.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name, or the new one is taken or unusable.</exception>
    /// <exception cref="InvalidOperationException">It is used in a scope of <see cref="UsePerSample"/>.</exception>
    public void RenameAdapter(string name, string newName)
    {
        ThrowIfFinished();
        CheckKnown([name]);
        CheckFree(newName);
        ThrowIfNamedPerSample(name);
        LoraModel.CheckName(newName);
        foreach (ILoraLayer layer in LoraLayers.Where(layer => layer.Adapters.Contains(name))) layer.Adapters.Rename(name, newName);
        foreach (AdapterPart part in PartsOf(name)) part.AdapterName = newName;
        int place = _adapters.IndexOf(name);
        _adapters.Insert(place, newName, _adapters[name] with { Name = newName });
        _adapters.Remove(name);
        _active = Renamed(_active);
        foreach (Choice choice in _choices) choice.Before = choice.Before is null ? null : Renamed(choice.Before);

        List<string> Renamed(IEnumerable<string> names) => [.. names.Select(other => other == name ? newName : other)];
    }

    /// <summary>
    /// Takes an adapter out and disposes its parameters. If it was active, the other active ones stay so; none becomes active in its place. Layers without
    /// an adapter are the base model's again.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    /// <exception cref="InvalidOperationException">It is merged, or used in a scope of <see cref="UsePerSample"/>.</exception>
    public void DeleteAdapter(string name)
    {
        ThrowIfFinished();
        CheckKnown([name]);
        if (MergedAdapters.Contains(name))
            throw new InvalidOperationException($"Adapter '{name}' is merged into the base weights: unmerge it before deleting it.");
        ThrowIfNamedPerSample(name);
        if (PartsOf(name).Any()) ThrowIfExchangedWhileMerged([.. _active.Where(active => active != name)]);
        Remove(name);
    }

    // Layers that are left without an adapter leave the model.
    private void Remove(string name)
    {
        foreach (AdapterPart part in PartsOf(name).ToList())
        {
            part.SetActive(false);
            part.Dispose();
            _parts.Remove(part);
        }
        foreach (ILoraLayer layer in LoraLayers.Where(layer => layer.Adapters.Contains(name))) layer.Adapters.Remove(name);
        Attachment.Detach(_layers.Where(layer => layer.Layer.Adapters.Count == 0).Select(layer => layer.Attached));
        _layers.RemoveAll(layer => layer.Layer.Adapters.Count == 0);
        _adapters.Remove(name);
        _active = [.. _active.Where(active => active != name)];
        ForgetTokens();
    }

    private void CheckKnown(IReadOnlyList<string> names)
    {
        foreach (string name in names)
        {
            ArgumentNullException.ThrowIfNull(name, nameof(names));
            if (!_adapters.ContainsKey(name)) throw new ArgumentException($"There is no adapter '{name}'; there is {NamesInWords}.", nameof(names));
        }
    }

    private void CheckFree(string name)
    {
        if (_adapters.ContainsKey(name)) throw new ArgumentException($"There is an adapter '{name}' already: delete or rename it, or choose another name.", nameof(name));
    }

    private string NamesInWords => _adapters.Count == 0 ? "none" : string.Join(", ", _adapters.Keys.Select(name => $"'{name}'"));
}
