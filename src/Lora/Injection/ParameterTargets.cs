using Lora.Layers;
using Lora.Targeting;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Finds the parameters that a configuration's <see cref="LoraConfig.TargetParameters"/> name, and what stands in the way of adapting them.</summary>
internal sealed class ParameterTargets
{
    private const int NamesShown = 10;
    private readonly List<string> _problems = [];
    private readonly List<PlannedLayer> _layers = [];
    private readonly List<string> _matched = [];

    internal IReadOnlyList<PlannedLayer> Layers => _layers;

    internal IReadOnlyList<string> Problems => _problems;

    /// <summary>The full names of the parameters that are adapted.</summary>
    internal IReadOnlyList<string> Names => _matched;

    /// <param name="model">The model.</param>
    /// <param name="config">The configuration.</param>
    /// <param name="sites">The model's modules.</param>
    /// <param name="modules">The paths of the modules that are adapted as a whole.</param>
    internal static ParameterTargets Find(nn.Module model, LoraConfig config, IReadOnlyList<ModuleSite> sites, IReadOnlyCollection<string> modules)
    {
        var targets = new ParameterTargets();
        if (config.TargetParameters is not ModuleSelector selector) return targets;
        foreach ((string name, _) in Own(model).Where(p => selector.Matches(p.Name)))
            targets._problems.Add($"target_parameters matches '{name}', a parameter of the model itself: only parameters of modules inside the model can be adapted");
        foreach (ModuleSite site in sites) targets.Plan(config, selector, site, modules);
        targets.CheckNames(model, selector, sites);
        return targets;
    }

    private void Plan(LoraConfig config, ModuleSelector selector, ModuleSite site, IReadOnlyCollection<string> modules)
    {
        (string Name, Parameter Parameter)[] chosen = [.. Own(site.Module).Where(p => selector.Matches($"{site.Path}.{p.Name}"))];
        if (chosen.Length == 0) return;
        int before = _problems.Count;
        if (config.Dropout > 0)
            _problems.Add(FormattableString.Invariant($"target_parameters matches '{site.Path}.{chosen[0].Name}', but lora_dropout is {config.Dropout}: a parameter has no input that could be dropped, so it must be 0"));
        if (modules.Contains(site.Path) || site.Layer is not (null or LoraParameters))
            _problems.Add($"target_parameters matches '{site.Path}.{chosen[0].Name}', but '{site.Path}' is adapted as a module: leave one of the two out");
        if (!ModuleHooks.CanHook(site.Module))
            _problems.Add($"target_parameters matches '{site.Path}.{chosen[0].Name}', but '{site.Path}', a {ModuleSlot.ReadableName(site.Module.GetType())}, has no forward that could be followed: adapt the layers that use it");
        foreach ((string name, Parameter parameter) in chosen)
        {
            if (Refusal(site, name, parameter) is string refusal) _problems.Add($"target_parameters matches '{site.Path}.{name}', {refusal}");
        }
        if (_problems.Count > before) return;
        KeyValuePair<string, AdapterSettings>[] parts = [.. chosen.Select(p => KeyValuePair.Create(p.Name, AdapterSettings.For(config, $"{site.Path}.{p.Name}")))];
        _matched.AddRange(parts.Select(part => $"{site.Path}.{part.Key}"));
        _layers.Add(new PlannedLayer(site, ParameterKind.Instance, parts[0].Value with { Parts = parts }, null));
    }

    private static string? Refusal(ModuleSite site, string name, Parameter parameter)
    {
        if (parameter.dim() is not (2 or 3)) return $"which has {parameter.dim()} dimension{(parameter.dim() == 1 ? "" : "s")}: a parameter needs 2 (out, in) or 3 (experts and a matrix each)";
        if (!is_floating_point(parameter)) return $"which holds {parameter.dtype} values: a floating-point type is needed";
        return ParameterField.Exists(site.Module, name)
            ? null
            : $"which a {ModuleSlot.ReadableName(site.Module.GetType())} keeps where it cannot be replaced: target the module instead, if it can be adapted";
    }

    private void CheckNames(nn.Module model, ModuleSelector selector, IReadOnlyList<ModuleSite> sites)
    {
        string[] all = [.. Own(model).Select(p => p.Name), .. sites.SelectMany(site => Own(site.Module).Select(p => $"{site.Path}.{p.Name}"))];
        foreach (string entry in selector.Names ?? [])
        {
            if (all.Any(ModuleSelector.EndsWith(entry).Matches)) continue;
            IReadOnlyList<string> near = NearNames.Find(entry, all, 3);
            _problems.Add($"target_parameters names '{entry}', which the model does not have" + (near.Count > 0
                ? $"; did you mean {string.Join(", ", near)}?"
                : $". Its parameters: {string.Join(", ", all.Take(NamesShown))}{(all.Length > NamesShown ? $" and {all.Length - NamesShown} more" : "")}."));
        }
    }

    private static IEnumerable<(string Name, Parameter Parameter)> Own(nn.Module module) => module.named_parameters(recurse: false).Select(p => (p.name, p.parameter));
}
