using Lora.Targeting;

namespace Lora.Conversion;

/// <summary>The weights that become adapters, with their layouts, and what is wrong with the choice: found out before a tensor is read.</summary>
internal sealed class TargetChoice
{
    private const int NamesShown = 3;
    private readonly OrderedDictionary<string, (string Path, WeightLayout Layout)> _weights = new(StringComparer.Ordinal);
    private readonly List<string> _problems = [];

    private TargetChoice(IReadOnlyCollection<string> paths) => Paths = paths;

    /// <summary>The paths of all modules.</summary>
    internal IReadOnlyCollection<string> Paths { get; }

    internal IReadOnlyList<string> Problems => _problems;

    internal bool TryFind(string weight, out (string Path, WeightLayout Layout) target) => _weights.TryGetValue(weight, out target);

    internal static TargetChoice Of(ModelTensors before, ModelTensors after, LayoutRules rules, ExtractionOptions options)
    {
        var choice = new TargetChoice(rules.Paths);
        bool all = options.TargetModules.Equals(ModuleSelector.AllLinear);
        foreach (string name in before.Names.Where(name => name.EndsWith(".weight", StringComparison.Ordinal)))
        {
            string path = name[..^".weight".Length];
            if (!options.TargetModules.Matches(path) || options.ExcludedModules?.Matches(path) == true || (all && rules.IsHead(path))) continue;
            WeightLayout? layout = rules.Of(path, before.ShapeOf(name)!, out string problem);
            if (all && layout?.IsLinear != true) continue;
            if (layout is null) choice._problems.Add($"'{path}' {problem}");
            else choice.Add(name, path, layout, before, after);
        }
        choice.CheckNames(options, before);
        return choice;
    }

    private void Add(string name, string path, WeightLayout layout, ModelTensors before, ModelTensors after)
    {
        IReadOnlyList<long> shape = before.ShapeOf(name)!;
        if (after.ShapeOf(name) is not { } other) _problems.Add($"'{name}' is a target, but {after.Name} does not have it");
        else if (!other.SequenceEqual(shape)) _problems.Add($"'{name}' is a target, but has the shape [{string.Join(", ", shape)}] in {before.Name} and [{string.Join(", ", other)}] in {after.Name}");
        else _weights.Add(name, (path, layout));
    }

    private void CheckNames(ExtractionOptions options, ModelTensors model)
    {
        foreach (string name in options.TargetModules.Names ?? [])
        {
            string[] matches = [.. Paths.Where(ModuleSelector.EndsWith(name).Matches)];
            IReadOnlyList<string> near = NearNames.Find(name, Paths, NamesShown);
            if (matches.Length == 0)
                _problems.Add($"{nameof(options.TargetModules)} names '{name}', which {model.Name} does not have" + (near.Count > 0 ? $"; did you mean {string.Join(", ", near)}?" : ""));
            else if (!matches.Any(path => model.Has($"{path}.weight")))
                _problems.Add($"{nameof(options.TargetModules)} names '{name}', but '{matches[0]}' has no tensor 'weight' that an adapter could be made of: name the layers in it, or leave it out");
        }
        if (_problems.Count == 0 && _weights.Count == 0) _problems.Add($"{nameof(options.TargetModules)} ({options.TargetModules}) picks no layer of {model.Name} that can be adapted");
    }
}
