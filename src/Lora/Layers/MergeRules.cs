namespace Lora.Layers;

/// <summary>
/// What adapters that rescale the base weight (<see cref="Variants.LoraVariant.NeedsBaseAlone"/>) ask of merging: their part is computed from the weight of before, so it must be
/// known while others are merged too, and none of them can work on a weight that holds another adapter.
/// </summary>
internal static class MergeRules
{
    /// <summary>Why adapters of a layer cannot be active beside each other, or beside those that are merged, a sentence; null where they can.</summary>
    /// <param name="active">Those that are to be active, merged ones among them.</param>
    /// <param name="merged">Those that are to be merged.</param>
    internal static string? Clash(IEnumerable<LoraAdapter> active, IReadOnlyCollection<LoraAdapter> merged)
    {
        LoraAdapter[] takers = [.. active.Where(adapter => adapter.Variant is { TakesOffBase: true })];
        if (takers.Length > 1)
            return $"Adapters '{takers[0].AdapterName}' and '{takers[1].AdapterName}' take the same part off the base weight ({takers[0].Variant!.Title}): make one of them active at a time.";
        if (merged.Count == 0 || active.Except(merged).FirstOrDefault(NeedsBaseAlone) is not LoraAdapter adapter) return null;
        return $"Adapter '{adapter.AdapterName}' rescales the base weight ({adapter.Variant!.Title}), which would hold '{merged.First().AdapterName}' as well: merge or unmerge both together.";
    }

    /// <summary>Whether merging adapters into a layer needs the weight of before.</summary>
    internal static bool NeedsOriginal(ILoraLayer layer, IReadOnlyCollection<LoraAdapter> adapters) =>
        adapters.Count + layer.Adapters.Merged.Count > 1 && adapters.Concat(layer.Adapters.Merged).Any(NeedsBaseAlone);

    /// <summary>Lists what forbids to merge adapters into a layer, each with its adapter, as a clause that can follow the layer's path.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="adapters">Active adapters that are not merged.</param>
    /// <param name="keepOriginal">Whether the weight of before is kept.</param>
    /// <param name="peftCompatible">As in <see cref="MergeOptions.PeftCompatible"/>.</param>
    /// <param name="isFinal">Whether nothing is going to be unmerged.</param>
    internal static IEnumerable<(LoraAdapter Adapter, string Obstacle)> Obstacles(
        ILoraLayer layer, IReadOnlyCollection<LoraAdapter> adapters, bool keepOriginal, bool peftCompatible, bool isFinal)
    {
        IReadOnlyList<LoraAdapter> merged = layer.Adapters.Merged;
        if (adapters.Count == 0) yield break;
        foreach (LoraAdapter adapter in adapters)
        {
            if (layer.MergeObstacle(adapter, peftCompatible) is string obstacle) yield return (adapter, obstacle);
            if (adapter.Variant?.MergeObstacle is string never) yield return (adapter, never);
            if (!keepOriginal && !isFinal && adapter.Variant?.RevertObstacle is string irreversible)
                yield return (adapter, $"{irreversible}: set {nameof(MergeOptions)}.{nameof(MergeOptions.KeepOriginal)}");
        }
        foreach (LoraAdapter other in layer.Adapters.Active.Except(merged).Except(adapters).Where(NeedsBaseAlone))
            yield return (adapters.First(), $"has '{other.AdapterName}' active as well, which rescales the base weight ({other.Variant!.Title}): merge that too, or make it inactive");
        if (!NeedsOriginal(layer, adapters)) yield break;
        LoraAdapter rescaling = adapters.Concat(merged).First(NeedsBaseAlone);
        string name = $"'{rescaling.AdapterName}' ({rescaling.Variant!.Title})";
        if (merged.Count > 0 && !layer.Adapters.KeepsOriginals)
            yield return (adapters.First(), $"holds '{merged[0].AdapterName}' without the weight of before, which {name} needs: unmerge it, then merge both");
        else if (!keepOriginal)
            yield return (adapters.First(), $"would hold several adapters, of which {name} needs the weight of before: set {nameof(MergeOptions)}.{nameof(MergeOptions.KeepOriginal)}");
    }

    private static bool NeedsBaseAlone(LoraAdapter adapter) => adapter.Variant is { NeedsBaseAlone: true };
}
