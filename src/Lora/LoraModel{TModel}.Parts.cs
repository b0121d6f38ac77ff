using Lora.Injection;
using Lora.Parts;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    private readonly List<AdapterPart> _parts = [];

    private IEnumerable<AdapterPart> PartsOf(string name) => _parts.Where(part => part.AdapterName == name);

    /// <summary>Makes the parts of the named adapters take part in what the model computes, and no others.</summary>
    private void ExchangeParts(IReadOnlyCollection<string> names)
    {
        // Those that give a place free come before those that take it.
        foreach (AdapterPart part in _parts.Where(part => !names.Contains(part.AdapterName))) part.SetActive(false);
        foreach (AdapterPart part in _parts.Where(part => names.Contains(part.AdapterName))) part.SetActive(true);
    }

    private void ActivateParts()
    {
        Choice? now = IsDisabled ? null : _choices.LastOrDefault();
        foreach (Choice choice in _choices.Where(choice => choice != now)) choice.Parts?.SetActive(false);
        ExchangeParts(IsDisabled || now?.Batch is not null ? [] : _active);
        now?.Parts?.SetActive(true);
        if (_replication is not null) _replication.IsActive = !IsDisabled;
    }

    /// <summary>Refuses adapters of which two would take the place of the same weight.</summary>
    /// <exception cref="InvalidOperationException">There are such.</exception>
    private void ThrowIfInConflict(IReadOnlyCollection<string> names)
    {
        AdapterPart[] parts = [.. _parts.Where(part => names.Contains(part.AdapterName))];
        string[] problems =
        [
            .. from pair in parts.SelectMany((first, index) => parts.Skip(index + 1).Select(second => (first, second)))
               where pair.first.AdapterName != pair.second.AdapterName
               let common = CommonClaim(pair.first, pair.second)
               where common is not null
               select $"\n  - '{pair.first.AdapterName}' by {pair.first.Setting} and '{pair.second.AdapterName}' by {pair.second.Setting}: {common}",
        ];
        if (problems.Length > 0)
            throw new InvalidOperationException($"Adapters that take the place of the same weight cannot be active together:{string.Concat(problems)}\nMake one of them active at a time.");
    }

    /// <summary>Refuses to exchange weights that a merged adapter is part of.</summary>
    /// <exception cref="InvalidOperationException">It would be necessary.</exception>
    private void ThrowIfExchangedWhileMerged(IReadOnlyCollection<string> names)
    {
        if (IsMerged && _parts.FirstOrDefault(part => part.IsActive != names.Contains(part.AdapterName)) is AdapterPart part)
            throw new InvalidOperationException($"Adapter '{MergedAdapters[0]}' is merged, so the weights that '{part.AdapterName}' brings by {part.Setting} cannot be exchanged: unmerge it first.");
    }

    /// <summary>What keeps an adapter from living beside those that are there.</summary>
    private IEnumerable<string> Incompatibilities(AdapterSource source)
    {
        if (source.Entry.Config.Bias != BiasKind.None && _adapters.Values.FirstOrDefault(adapter => adapter.Config.Bias != BiasKind.None) is AdapterEntry other)
            yield return $"bias is {source.Entry.Config.Bias}, but adapter '{other.Name}' trains biases already: one adapter of a model can";
        if (source.Entry.Config.LayerReplication.Count > 0 && !source.Entry.Config.LayerReplication.SequenceEqual(_adapters.Values.First().Config.LayerReplication))
            yield return "layer_replication differs from that of the first adapter, which decides how the model's layers are stacked";
        foreach (string path in source.LayerPaths)
        {
            if (_parts.FirstOrDefault(part => part.Setting == "modules_to_save" && part.Paths.Any(saved => saved == path)) is AdapterPart part)
                yield return $"target_modules matches '{path}', which adapter '{part.AdapterName}' trains in full (modules_to_save): a module can be adapted or trained in full, not both";
        }
    }

    // A row of a weight, such as "embed.weight[3]", overlaps the whole of it. Adapters may claim ten thousands of rows, so they are looked up.
    private static string? CommonClaim(AdapterPart first, AdapterPart second)
    {
        HashSet<string> claims = second.Claims.ToHashSet(StringComparer.Ordinal), wholes = claims.Select(Whole).ToHashSet(StringComparer.Ordinal);
        return first.Claims.FirstOrDefault(claim => claims.Contains(claim) || claims.Contains(Whole(claim)) || wholes.Contains(claim)) is string common
            ? second.Claims.First(other => other == common || other == Whole(common) || Whole(other) == common)
            : null;
    }

    private static string Whole(string claim) => claim.EndsWith(']') && claim.LastIndexOf('[') is int at and > 0 ? claim[..at] : claim;
}
