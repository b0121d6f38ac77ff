namespace Lora;

/// <summary>The state of a model's adapters, as <see cref="LoraModel{TModel}.GetStatus"/> found it: that of all layers together, and of each.</summary>
/// <remarks>
/// Layers agree as long as they are switched by the model's handle. What was done to a layer by itself, through <see cref="LoraModel{TModel}.Layers"/>, shows as
/// an irregularity.
/// </remarks>
public sealed record ModelStatus
{
    /// <summary>The type of the base model.</summary>
    public required string ModelType { get; init; }

    /// <summary>How many parameters train, of how many.</summary>
    public required ParameterCounts ParameterCounts { get; init; }

    /// <summary>Whether the adapters are switched on; <see cref="Agreement.Irregular"/> where layers differ.</summary>
    public required Agreement IsEnabled { get; init; }

    /// <summary>The active adapters in the order in which their terms are added; null where a layer has others active.</summary>
    public required IReadOnlyList<string>? ActiveAdapters { get; init; }

    /// <summary>The adapters that are part of the base weights; null where one is merged into some of its layers only.</summary>
    public required IReadOnlyList<string>? MergedAdapters { get; init; }

    /// <summary>All adapters, in ordinal order.</summary>
    public required IReadOnlyList<string> AvailableAdapters { get; init; }

    /// <summary>For each adapter whether its parameters require gradients; <see cref="Agreement.Irregular"/> where some do and some do not.</summary>
    public required IReadOnlyDictionary<string, Agreement> RequiresGrad { get; init; }

    /// <summary>For each adapter the devices that its parameters are on.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<string>> Devices { get; init; }

    /// <summary>What layers do not agree upon, each in a sentence that names them; empty as a rule.</summary>
    public required IReadOnlyList<string> Irregularities { get; init; }

    /// <summary>The state of each adapted layer, in the model's order.</summary>
    public required IReadOnlyList<LayerStatus> Layers { get; init; }

    /// <summary>The state of the model, one property a line, without the layers.</summary>
    public override string ToString() => string.Join('\n',
        $"{ModelType}, {Layers.Count} adapted layers",
        ParameterCounts,
        $"enabled: {StatusText.Flag(IsEnabled)}",
        $"active: {(ActiveAdapters is null ? "irregular" : StatusText.List(ActiveAdapters))}",
        $"merged: {(MergedAdapters is null ? "irregular" : StatusText.List(MergedAdapters))}",
        $"available: {(AvailableAdapters.Count == 0 ? "none" : string.Join(", ", AvailableAdapters))}",
        $"requires_grad: {StatusText.Flags(RequiresGrad)}",
        $"devices: {StatusText.Devices(Devices)}")
        + string.Concat(Irregularities.Select(irregularity => $"\n- {irregularity}"));

    internal static ModelStatus Of(string modelType, ParameterCounts counts, IReadOnlyList<string> names, IReadOnlyList<string> active, bool isDisabled, IReadOnlyList<AdapterLayer> layers)
    {
        LayerStatus[] all = [.. layers.Select(LayerStatus.Of)];
        IReadOnlyList<string> available = StatusText.Names(names);
        LayerStatus[] otherwise = [.. all.Where(layer => !layer.ActiveAdapters.SequenceEqual(active.Where(layer.AvailableAdapters.Contains)))];
        string[] merged = [.. all.SelectMany(layer => layer.MergedAdapters).Distinct()];
        string[] partly = [.. merged.Where(name => all.Any(layer => layer.AvailableAdapters.Contains(name) && !layer.MergedAdapters.Contains(name)))];
        var requiresGrad = available.ToDictionary(name => name, name => StatusText.Agreed(all.Where(layer => layer.RequiresGrad.ContainsKey(name)).Select(layer => layer.RequiresGrad[name])));
        Agreement enabled = all.Length == 0 ? (isDisabled ? Agreement.No : Agreement.Yes) : StatusText.Agreed(all.Select(layer => layer.IsEnabled));
        return new ModelStatus
        {
            ModelType = modelType,
            ParameterCounts = counts,
            IsEnabled = enabled,
            ActiveAdapters = otherwise.Length > 0 ? null : active,
            MergedAdapters = partly.Length > 0 ? null : merged,
            AvailableAdapters = available,
            RequiresGrad = requiresGrad,
            Devices = available.ToDictionary(name => name, name => StatusText.Names(all.Where(layer => layer.Devices.ContainsKey(name)).SelectMany(layer => layer.Devices[name]))),
            Irregularities =
            [
                .. otherwise.Select(layer => $"'{layer.Path}' has active: {StatusText.List(layer.ActiveAdapters)}, the model: {StatusText.List(active)}"),
                .. partly.Select(name => $"'{name}' is merged into {Paths(all, layer => layer.MergedAdapters.Contains(name))}, but not into {Paths(all, layer => layer.AvailableAdapters.Contains(name) && !layer.MergedAdapters.Contains(name))}"),
                .. requiresGrad.Where(pair => pair.Value == Agreement.Irregular).Select(pair => $"some parameters of '{pair.Key}' require gradients and some do not"),
            ],
            Layers = all,
        };
    }

    private static string Paths(IEnumerable<LayerStatus> layers, Func<LayerStatus, bool> which) => string.Join(", ", layers.Where(which).Select(layer => $"'{layer.Path}'"));
}
