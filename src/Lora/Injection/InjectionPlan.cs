using Lora.Initialization;
using Lora.Layers;
using Lora.Parts;
using Lora.Targeting;
using Lora.Variants;
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
    private readonly nn.Module _model;
    private readonly IReadOnlyList<ModuleSite> _sites;
    private readonly string[] _paths;
    private readonly IReadOnlyList<LoraLayerKind> _kinds;
    private readonly bool _isFresh;
    private string[] _linear = [];
    private ILookup<nn.Module, ModuleSite>? _places;

    private InjectionPlan(nn.Module model, IReadOnlyList<ModuleSite> sites, IReadOnlyList<LoraLayerKind> kinds, bool isFresh)
    {
        _model = model;
        _sites = sites;
        _isFresh = isFresh;
        _kinds = [.. kinds, .. LoraLayerKind.BuiltIn];
        _paths = [.. sites.SelectMany(site => PartsOf(site).Select(part => $"{site.Path}.{part}").Prepend(site.Path))];
        Candidates = [.. sites.Where(site => KindOf(site) is not null).Select(site => site.Path)];
    }

    internal IReadOnlyList<PlannedLayer> Layers => _layers;

    /// <summary>What the adapter has beside its layers.</summary>
    internal PartPlan Parts { get; private set; } = null!;

    /// <summary>What stands in the way; empty when the plan can be carried out.</summary>
    internal IReadOnlyList<string> Problems => _problems;

    /// <summary>Names in the targets that the model does not have, each in a sentence, where others do match.</summary>
    internal IReadOnlyList<string> UnmatchedNames { get; private set; } = [];

    /// <summary>A sentence where the exclusion takes nothing away, so that it may be misspelt; else empty.</summary>
    internal IReadOnlyList<string> IdleExclusion { get; private set; } = [];

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
        var plan = new InjectionPlan(model, sites, options.LayerKinds, isFresh: file is null);
        plan.CheckPaddingIndices((PatternTable<long>)options.PaddingIndices);
        if (plan.Problems.Count > 0) return plan;
        if (config.TargetModules is not null || config.TargetParameters is null) plan.Match(config, options, LayerFilter.Of(config, asPeft: file is not null));
        plan.MatchParameters(config);
        plan.Parts = PartPlan.Make(model, config, sites, plan.Layers, file);
        plan._problems.AddRange(plan.Parts.Problems);
        if (plan.Parts.Tie is PlannedTie tie) plan.Share(tie);
        return plan;
    }

    private void Share(PlannedTie tie)
    {
        int index = _layers.FindIndex(layer => layer.Site.Path == tie.EmbeddingPath);
        if (_layers[index].Settings.Variant is LoraVariantKind variant)
            _problems.Add($"'{tie.EmbeddingPath}' shares its adapter with '{tie.HeadPath}' by ensure_weight_tying, for which {variant.Title} ({variant.Setting}) is not defined: do without one of the two");
        _layers[index] = _layers[index] with { Settings = _layers[index].Settings with { SharesWithHead = true } };
    }

    /// <summary>Refuses a model that carries adapters already, or is an adapted layer.</summary>
    /// <exception cref="InvalidOperationException">It does.</exception>
    internal static void ThrowIfAdapted(nn.Module model)
    {
        if (model is ILoraLayer)
            throw new InvalidOperationException("The model is an adapted layer itself: wrap the module that holds it, or train the layer as it is.");
        if (ModuleWalker.Walk(model).FirstOrDefault(site => site.Layer is not null) is ModuleSite adapted)
            throw new InvalidOperationException($"The model carries adapters already, the first at '{adapted.Path}': unload them before wrapping or loading again.");
    }

    private void Match(LoraConfig config, WrapOptions options, LayerFilter layers)
    {
        if (config.TargetModules is null)
        {
            _problems.Add($"target_modules is not given: name the layers to adapt, for example ModuleSelector.EndsWith(\"q_proj\", \"v_proj\"). {CandidateText()}");
            return;
        }
        ModuleSelector targets = config.TargetModules;
        if (targets.Equals(ModuleSelector.AllLinear))
        {
            _linear = LinearLayers(config);
            if (_linear.Length == 0)
            {
                _problems.Add(NoMatch(targets));
                return;
            }
            targets = ModuleSelector.EndsWith(_linear);
        }
        nn.Module? tiedHead = config.EnsureWeightTying ? TiedTargets.Sites(_model, _sites)?.Head.Module : null;
        bool excluded = false, saved = false, filtered = false;
        foreach (ModuleSite site in _sites)
        {
            bool whole = targets.Matches(site.Path);
            string[] parts = [.. PartsOf(site).Where(part => whole || targets.Matches($"{site.Path}.{part}"))];
            if (!whole && parts.Length == 0) continue;
            string[] kept = [.. parts.Where(part => config.ExcludedModules?.Matches($"{site.Path}.{part}") != true)];
            bool none = config.ExcludedModules?.Matches(site.Path) == true || (parts.Length > 0 && kept.Length == 0);
            excluded |= none || kept.Length < parts.Length;
            if (none) continue;
            if (SavedModules.Holds(config.ModulesToSave, site.Path)) saved = true;
            else if (!layers.Accepts(site.Path)) filtered = true;
            else if (ReferenceEquals(site.Module, tiedHead)) continue; // It has the embedding's.
            else Plan(config, site, kept, options);
        }

        string[] unmatchedExclusions =
        [
            .. config.ExcludedModules is null ? [] : UnmatchedEntries(config.ExcludedModules).Select(entry => NothingMatches("exclude_modules", entry)),
            .. config.ExcludedModules is { Pattern: string pattern } unused && !_paths.Any(unused.Matches) ? [$"exclude_modules (/{pattern}/) matches no module"] : Array.Empty<string>(),
        ];
        UnmatchedNames = [.. UnmatchedEntries(targets).Select(entry => NothingMatches("target_modules", entry)), .. unmatchedExclusions];
        if (config.ExcludedModules is not null && !excluded && unmatchedExclusions.Length == 0)
            IdleExclusion = [$"exclude_modules ({config.ExcludedModules}) excludes nothing that target_modules matches"];
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
    }

    private void MatchParameters(LoraConfig config)
    {
        string[] modules = [.. _layers.Select(layer => layer.Site.Path)];
        ParameterTargets parameters = ParameterTargets.Find(_model, config, _sites, modules);
        _layers.AddRange(parameters.Layers);
        _problems.AddRange(parameters.Problems);
        if (_isFresh) _problems.AddRange(parameters.Layers.Select(layer => (layer.Site.Path, Obstacle: StartObstacle(config, layer.Kind, layer.Site, layer.Settings))).Where(layer => layer.Obstacle is not null).Select(layer => $"'{layer.Path}' {layer.Obstacle}"));
        string[] paths = [.. modules, .. parameters.Names];
        UnusedPatterns =
        [
            .. ((PatternTable<int>)config.RankPattern).Unused(paths).Select(key => $"rank_pattern has the key '{key}', from which no adapted layer takes its rank"),
            .. ((PatternTable<double>)config.AlphaPattern).Unused(paths).Select(key => $"alpha_pattern has the key '{key}', from which no adapted layer takes its alpha"),
            // A layer that was refused may have the name.
            .. _problems.Count == 0 && LoraVariantKind.Of(config) is LoraVariantKind variant ? variant.Unused(config, paths) : [],
        ];
    }

    private void Plan(LoraConfig config, ModuleSite site, string[] parts, WrapOptions options)
    {
        bool allowHooks = options.AllowHooks;
        if (KindOf(site) is not LoraLayerKind kind)
        {
            string inside = string.Join(", ", Candidates.Where(path => path.StartsWith(site.Path + ".", StringComparison.Ordinal)).Take(NamesShown));
            _problems.Add(
                $"target_modules matches '{site.Path}', a {ModuleSlot.ReadableName(site.Module.GetType())}, which cannot be adapted: target a {LoraLayerKind.BuiltInNames}"
                + (inside.Length > 0 ? $", such as {inside}" : "") + ", or exclude it");
            return;
        }
        AdapterSettings settings = AdapterSettings.For(config, site.Path) with { PaddingIndex = options.PaddingIndexFor(site.Path), CachesInEvaluation = options.CacheInEvaluation };
        if (parts.Length > 0) settings = settings with { Parts = [.. parts.Select(part => KeyValuePair.Create(part, settings))] };
        string[] problems =
        [
            .. kind.Problems(site.Module, settings)
                .Concat(VariantProblems(config, kind, settings, site))
                .Append(_isFresh ? StartObstacle(config, kind, site, settings) : null)
                .OfType<string>()
                .Select(problem => $"'{site.Path}' {problem}"),
        ];
        _problems.AddRange(problems);
        if (problems.Length > 0) return;
        if (site.Layer is LoraParameters)
        {
            _problems.Add($"target_modules matches '{site.Path}', of which another adapter adapts parameters: leave one of the two out");
            return;
        }
        if (site.Layer is not null)
        {
            _layers.Add(new PlannedLayer(site, kind, settings, null));
            return;
        }
        var slots = new List<ModuleSlot>();
        bool swappable = true;
        foreach (ModuleSite place in (_places ??= ModuleWalker.Places(_model, _sites))[site.Module])
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
                    $"'{site.Path}' cannot be replaced, since {obstacle}, and {nameof(WrapOptions.AllowHooks)} is false: give the field the type {FieldType(kind.LayerType)}, or allow hooks");
            }
        }
        if (swappable || allowHooks) _layers.Add(new PlannedLayer(site, kind, settings, swappable ? slots : null));
    }

    // What a file holds needs no start.
    private static string? StartObstacle(LoraConfig config, LoraLayerKind kind, ModuleSite site, AdapterSettings settings)
    {
        (long Out, long In)? matrix = kind.MatrixOf(site.Module);
        return config.Initialization.Obstacle(new AdapterShape(
            kind.ModuleName, kind.LayerType == typeof(LoraLinear), kind.LayerType == typeof(LoraEmbedding), matrix?.Out, matrix?.In, settings.Rank, settings.Scale));
    }

    private IEnumerable<string> VariantProblems(LoraConfig config, LoraLayerKind kind, AdapterSettings settings, ModuleSite site)
    {
        if (LoraVariantKind.Of(config) is not LoraVariantKind variant) yield break;
        if (settings.Variant is not null && variant.Refusal(kind) is string refusal) yield return refusal;
        foreach (string problem in variant.LayerProblems(config, site.Path, settings, kind.MatrixOf(site.Module))) yield return problem;
        if ((_isFresh || variant.NeedsBaseOnLoading) && settings.Variant is not null && site.Layer?.Adapters.Merged is [LoraAdapter merged, ..])
            yield return $"holds adapter '{merged.AdapterName}' in its weight, but {variant.Title} ({variant.Setting}) starts from the base weight: unmerge it first";
    }

    private IReadOnlyList<string> PartsOf(ModuleSite site) => KindOf(site)?.Parts ?? [];

    private LoraLayerKind? KindOf(ModuleSite site) => _kinds.FirstOrDefault(kind => kind.Supports(site.Path, site.Module));

    private void CheckPaddingIndices(PatternTable<long> indices)
    {
        string[] invalid = [.. indices.Problems()];
        _problems.AddRange(invalid.Select(problem => $"{nameof(WrapOptions.PaddingIndices)}: {problem}"));
        if (invalid.Length > 0) return;
        string[] embeddings = [.. _sites.Where(site => KindOf(site)?.LayerType == typeof(LoraEmbedding)).Select(site => site.Path)];
        _problems.AddRange(indices.Unused(embeddings).Select(key =>
            $"{nameof(WrapOptions.PaddingIndices)} has the key '{key}', which names no embedding of the model; there is {(embeddings.Length == 0 ? "none" : string.Join(", ", embeddings.Take(NamesShown)))}"));
    }

    // The type by which a field can hold both a module and the layer that adapts it.
    private static string FieldType(Type layer)
    {
        Type type = layer;
        while (type.BaseType is Type above && type.Assembly != typeof(nn.Module).Assembly) type = above;
        return ModuleSlot.ReadableName(type);
    }

    // "all-linear" means every linear layer but the model's output head, or but that of a classifier, which is trained in full.
    private string[] LinearLayers(LoraConfig config)
    {
        nn.Module? head = (_model as IHasOutputHead)?.OutputHead ?? TaskHeads.ClassifierOf(config, _sites);
        if (head is ILoraLayer layer) head = layer.BaseLayer;
        return [.. _sites.Where(s => KindOf(s) is { IsLinear: true } && !ReferenceEquals(s.Module, head)).Select(s => s.Path)];
    }

    /// <summary>
    /// The selector as a fresh adapter's file holds it: "all-linear" becomes the names of the linear layers, those that are excluded among them, as with
    /// PEFT, and a long list is condensed.
    /// </summary>
    internal ModuleSelector? TargetsAsSaved(LoraConfig config)
    {
        if (config.TargetModules is not ModuleSelector selector) return null;
        // PEFT overlooks a list of layers at the root, but not a layer that is named in full.
        LayerFilter peft = LayerFilter.Of(config, asPeft: true);
        if (_layers.Any(layer => !peft.Accepts(layer.Site.Path))) return ModuleSelector.EndsWith(_layers.Select(layer => layer.Site.Path));
        IReadOnlyList<string>? names = selector.Equals(ModuleSelector.AllLinear) ? _linear : selector.Names;
        if (names is null) return selector;
        ModuleSelector exact = ModuleSelector.EndsWith(names);
        return ModuleSelector.EndsWith(ShortNames.Of(names, _paths.Where(path => !exact.Matches(path))));
    }

    private IEnumerable<string> UnmatchedEntries(ModuleSelector targets) =>
        (targets.Names ?? []).Where(entry => !_paths.Any(ModuleSelector.EndsWith(entry).Matches));

    private string NothingMatches(string setting, string entry)
    {
        if (ModuleWalker.OtherPaths(_model, _sites).FirstOrDefault(shared => ModuleSelector.EndsWith(entry).Matches(shared.Other)) is (string other, string path))
            return $"{setting} names '{entry}', but '{other}' is the same module as '{path}', by which it counts: name that one";
        IReadOnlyList<string> near = NearNames.Find(entry, _paths, 3);
        return $"{setting} names '{entry}', which the model does not have" + (near.Count > 0 ? $"; did you mean {string.Join(", ", near)}?" : "");
    }

    private static string LayersText(LoraConfig config) =>
        $"layers_to_transform ({string.Join(", ", config.LayersToTransform)})" + (config.LayersPattern.Count > 0 ? $" with layers_pattern ({string.Join(", ", config.LayersPattern)})" : "");

    private string NoMatch(ModuleSelector targets) => $"target_modules ({targets}) matches no module. {CandidateText()}";

    private string CandidateText() => Candidates.Count == 0
        ? "The model has no layer that can be adapted."
        : $"Layers that can be adapted: {string.Join(", ", Candidates.Take(NamesShown))}{(Candidates.Count > NamesShown ? $" and {Candidates.Count - NamesShown} more" : "")}.";
}
