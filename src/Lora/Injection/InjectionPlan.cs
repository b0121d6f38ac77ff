using Lora.Layers;
using Lora.Parts;
using Lora.Targeting;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>
/// What a configuration would do to a model: found out completely, with everything that is wrong, before anything is changed.
/// </summary>
internal sealed class InjectionPlan
{
    private const int NamesShown = 10;
    private readonly List<string> _problems = [];
    private readonly List<PlannedLayer> _layers = [];
    private readonly string[] _paths;
    private readonly IReadOnlyList<LoraLayerKind> _kinds;

    private InjectionPlan(IReadOnlyList<ModuleSite> sites, IReadOnlyList<LoraLayerKind> kinds)
    {
        _kinds = [.. kinds, .. LoraLayerKind.BuiltIn];
        _paths = [.. sites.Select(site => site.Path)];
        Candidates = [.. sites.Where(site => KindOf(site.Module) is not null).Select(site => site.Path)];
    }

    internal IReadOnlyList<PlannedLayer> Layers => _layers;

    /// <summary>What the adapter has beside its layers.</summary>
    internal PartPlan Parts { get; private set; } = null!;

    /// <summary>What stands in the way; empty when the plan can be carried out.</summary>
    internal IReadOnlyList<string> Problems => _problems;

    /// <summary>Names in the targets that the model does not have, each in a sentence, where others do match.</summary>
    internal IReadOnlyList<string> UnmatchedNames { get; private set; } = [];

    /// <summary>Keys of the rank and alpha patterns that decide for no adapted layer, each in a sentence.</summary>
    internal IReadOnlyList<string> UnusedPatterns { get; private set; } = [];

    /// <summary>Every module that could be adapted, by path.</summary>
    internal IReadOnlyList<string> Candidates { get; }

    /// <param name="model">The model, which is only looked at.</param>
    /// <param name="config">A valid configuration.</param>
    /// <param name="options">How layers may be attached, and which kinds of them there are beside the built-in ones.</param>
    /// <param name="file">The keys of the adapter's file; null for a fresh adapter.</param>
    internal static InjectionPlan Make(nn.Module model, LoraConfig config, WrapOptions options, FileKeys? file = null)
    {
        IReadOnlyList<ModuleSite> sites = ModuleWalker.Walk(model);
        var plan = new InjectionPlan(sites, options.LayerKinds);
        plan.Match(model, config, sites, options.AllowHooks, LayerFilter.Of(config, asPeft: file is not null));
        plan.Parts = PartPlan.Make(model, config, sites, plan.Layers, file);
        plan._problems.AddRange(plan.Parts.Problems);
        return plan;
    }

    /// <summary>Refuses a model that carries adapters already.</summary>
    /// <exception cref="InvalidOperationException">It does.</exception>
    internal static void ThrowIfAdapted(nn.Module model)
    {
        if (ModuleWalker.Walk(model).FirstOrDefault(site => site.Layer is not null) is ModuleSite adapted)
            throw new InvalidOperationException($"The model carries adapters already, the first at '{adapted.Path}': unload them before wrapping or loading again.");
    }

    private void Match(nn.Module model, LoraConfig config, IReadOnlyList<ModuleSite> sites, bool allowHooks, LayerFilter layers)
    {
        if (config.TargetModules is null)
        {
            _problems.Add($"target_modules is not given: name the layers to adapt, for example ModuleSelector.EndsWith(\"q_proj\", \"v_proj\"). {CandidateText()}");
            return;
        }
        ModuleSelector targets = config.TargetModules;
        if (targets.Equals(ModuleSelector.AllLinear))
        {
            string[] linear = LinearLayers(model, sites);
            if (linear.Length == 0)
            {
                _problems.Add(NoMatch(targets));
                return;
            }
            targets = ModuleSelector.EndsWith(linear);
        }
        bool excluded = false, saved = false, filtered = false;
        foreach (ModuleSite site in sites)
        {
            if (!targets.Matches(site.Path)) continue;
            if (config.ExcludedModules?.Matches(site.Path) == true) excluded = true;
            else if (SavedModules.Holds(config.ModulesToSave, site.Path)) saved = true;
            else if (!layers.Accepts(site.Path)) filtered = true;
            else Plan(model, config, site, allowHooks);
        }

        UnmatchedNames =
        [
            .. UnmatchedEntries(targets, sites).Select(entry => NothingMatches("target_modules", entry, sites)),
            .. config.ExcludedModules is null ? [] : UnmatchedEntries(config.ExcludedModules, sites).Select(entry => NothingMatches("exclude_modules", entry, sites)),
            .. config.ExcludedModules is { Pattern: string pattern } unused && !sites.Any(site => unused.Matches(site.Path)) ? [$"exclude_modules (/{pattern}/) matches no module"] : Array.Empty<string>(),
        ];
        if (_layers.Count == 0) _problems.AddRange(UnmatchedNames);
        if (_layers.Count == 0 && _problems.Count == 0)
        {
            string[] reasons =
            [
                .. excluded ? ["exclude_modules"] : Array.Empty<string>(),
                .. saved ? ["modules_to_save"] : Array.Empty<string>(),
                .. filtered ? [LayersText(config)] : Array.Empty<string>(),
            ];
            _problems.Add(reasons.Length > 0
                ? $"{string.Join(" and ", reasons)} {(reasons.Length > 1 ? "leave" : "leaves")} nothing of what target_modules ({targets}) matches. {CandidateText()}"
                : NoMatch(targets));
        }
        string[] paths = [.. _layers.Select(layer => layer.Site.Path)];
        UnusedPatterns =
        [
            .. ((PatternTable<int>)config.RankPattern).Unused(paths).Select(key => $"rank_pattern has the key '{key}', from which no adapted layer takes its rank"),
            .. ((PatternTable<double>)config.AlphaPattern).Unused(paths).Select(key => $"alpha_pattern has the key '{key}', from which no adapted layer takes its alpha"),
        ];
    }

    private void Plan(nn.Module model, LoraConfig config, ModuleSite site, bool allowHooks)
    {
        if (KindOf(site.Module) is not LoraLayerKind kind)
        {
            string inside = string.Join(", ", Candidates.Where(path => path.StartsWith(site.Path + ".", StringComparison.Ordinal)).Take(NamesShown));
            _problems.Add(
                $"target_modules matches '{site.Path}', a {ModuleSlot.ReadableName(site.Module.GetType())}, which cannot be adapted: target a {string.Join(" or ", LoraLayerKind.BuiltIn.Select(known => known.ModuleName))}"
                + (inside.Length > 0 ? $", such as {inside}" : "") + ", or exclude it");
            return;
        }
        AdapterSettings settings = AdapterSettings.For(config, site.Path);
        string[] problems = [.. kind.Problems(site.Module, settings).Select(problem => $"'{site.Path}' {problem}")];
        _problems.AddRange(problems);
        if (problems.Length > 0) return;
        if (site.Layer is not null)
        {
            _layers.Add(new PlannedLayer(site, kind, settings, null));
            return;
        }
        var slots = new List<ModuleSlot>();
        bool swappable = true;
        foreach (ModuleSite place in ModuleWalker.PlacesOf(model, site.Module))
        {
            ModuleSlot? slot = ModuleSlot.Find(place, kind.LayerType, out string obstacle);
            if (slot is not null)
            {
                slots.Add(slot);
                continue;
            }
            swappable = false;
            if (!allowHooks)
            {
                _problems.Add(
                    $"'{site.Path}' cannot be replaced, since {obstacle}, and {nameof(WrapOptions.AllowHooks)} is false: give the field the type Module<Tensor, Tensor>, or allow hooks");
            }
        }
        if (swappable || allowHooks) _layers.Add(new PlannedLayer(site, kind, settings, swappable ? slots : null));
    }

    private LoraLayerKind? KindOf(nn.Module module) => _kinds.FirstOrDefault(kind => kind.Supports(module));

    // "all-linear" means every linear layer but the model's output head.
    private string[] LinearLayers(nn.Module model, IReadOnlyList<ModuleSite> sites)
    {
        nn.Module? head = (model as IHasOutputHead)?.OutputHead is ILoraLayer layer ? layer.BaseLayer : (model as IHasOutputHead)?.OutputHead;
        return [.. sites.Where(s => KindOf(s.Module) is { IsLinear: true } && !ReferenceEquals(s.Module, head)).Select(s => s.Path)];
    }

    /// <summary>The selector as a fresh adapter's file holds it: "all-linear" becomes the names of the layers, and a long list is condensed.</summary>
    internal ModuleSelector TargetsAsSaved(LoraConfig config)
    {
        ModuleSelector selector = config.TargetModules!;
        // PEFT overlooks a list of layers at the root, but not a layer that is named in full.
        LayerFilter peft = LayerFilter.Of(config, asPeft: true);
        if (_layers.Any(layer => !peft.Accepts(layer.Site.Path))) return ModuleSelector.EndsWith(_layers.Select(layer => layer.Site.Path));
        IReadOnlyList<string>? names = selector.Equals(ModuleSelector.AllLinear) ? [.. _layers.Select(layer => layer.Site.Path)] : selector.Names;
        if (names is null) return selector;
        ModuleSelector exact = ModuleSelector.EndsWith(names);
        return ModuleSelector.EndsWith(ShortNames.Of(names, _paths.Where(path => !exact.Matches(path))));
    }

    private static IEnumerable<string> UnmatchedEntries(ModuleSelector targets, IReadOnlyList<ModuleSite> sites) =>
        (targets.Names ?? []).Where(entry => !sites.Any(site => ModuleSelector.EndsWith(entry).Matches(site.Path)));

    private static string NothingMatches(string setting, string entry, IReadOnlyList<ModuleSite> sites)
    {
        IReadOnlyList<string> near = NearNames.Find(entry, sites.Select(site => site.Path), 3);
        return $"{setting} names '{entry}', which the model does not have" + (near.Count > 0 ? $"; did you mean {string.Join(", ", near)}?" : "");
    }

    private static string LayersText(LoraConfig config) =>
        $"layers_to_transform ({string.Join(", ", config.LayersToTransform)})" + (config.LayersPattern.Count > 0 ? $" with layers_pattern ({string.Join(", ", config.LayersPattern)})" : "");

    private string NoMatch(ModuleSelector targets) => $"target_modules ({targets}) matches no module. {CandidateText()}";

    private string CandidateText() => Candidates.Count == 0
        ? "The model has no layer that can be adapted."
        : $"Layers that can be adapted: {string.Join(", ", Candidates.Take(NamesShown))}{(Candidates.Count > NamesShown ? $" and {Candidates.Count - NamesShown} more" : "")}.";
}
