namespace Lora.Conversion;

/// <summary>By which settings an adapter can hold tensors that differ and are no target's weight.</summary>
internal sealed class UntargetedSaving
{
    private readonly List<string> _problems = [];
    private readonly List<TensorDifference> _saved = [];
    private readonly List<string> _modules = [];

    internal IReadOnlyList<string> Problems => _problems;

    /// <summary>The differences, each with the setting that saves it.</summary>
    internal IReadOnlyList<TensorDifference> Saved => _saved;

    internal BiasKind Bias { get; private set; }

    internal IReadOnlyList<string> Modules => _modules;

    /// <param name="differences">All of them.</param>
    /// <param name="targets">The paths of the layers that get adapters.</param>
    /// <param name="after">The tuned model.</param>
    /// <param name="paths">The paths of all modules.</param>
    internal static UntargetedSaving Of(IReadOnlyList<TensorDifference> differences, IReadOnlySet<string> targets, ModelTensors after, IReadOnlyCollection<string> paths)
    {
        var saving = new UntargetedSaving();
        TensorDifference[] usable = [.. differences.Where(difference => difference.Kind == DifferenceKind.Values)];
        bool biasesAlone = usable.All(difference => IsBias(difference.Name, after));
        foreach (TensorDifference difference in differences)
        {
            string path = ModuleOf(difference.Name);
            if (difference.Kind != DifferenceKind.Values)
                saving._problems.Add($"'{difference.Name}' {Text(difference.Kind)}, which no setting of an adapter can hold");
            else if (IsBias(difference.Name, after) && (targets.Contains(path) || biasesAlone))
                saving.AddBias(difference, isTarget: targets.Contains(path));
            else if (targets.Contains(path))
                saving._problems.Add($"'{difference.Name}' differs and belongs to a target, of which only the weight and the bias can be saved");
            else if (ModuleProblem(path, paths) is string problem)
                saving._problems.Add($"'{difference.Name}' differs, and {problem}");
            else
                saving.AddModule(difference, path);
        }
        return saving;
    }

    /// <summary>The tensors of the tuned model that the settings save, with the keys that PEFT's file has for them.</summary>
    internal IEnumerable<(string Key, string Name)> Tensors(IReadOnlySet<string> targets, ModelTensors after)
    {
        foreach (string name in after.Names)
        {
            string path = ModuleOf(name);
            if (_modules.Contains(path)) yield return (name, name);
            else if (IsBias(name, after) && (Bias == BiasKind.All || (Bias == BiasKind.LoraOnly && targets.Contains(path))))
                yield return (targets.Contains(path) ? $"{path}.base_layer.bias" : name, name);
        }
    }

    /// <summary>What a difference is, as a clause that follows the name.</summary>
    internal static string Text(DifferenceKind kind) => kind switch
    {
        DifferenceKind.Shape => "has two shapes",
        DifferenceKind.OnlyInBase => "is in the base alone",
        DifferenceKind.OnlyInTuned => "is in the tuned model alone",
        _ => "differs",
    };

    private void AddBias(TensorDifference difference, bool isTarget)
    {
        if (Bias != BiasKind.All) Bias = isTarget ? BiasKind.LoraOnly : BiasKind.All;
        _saved.Add(difference with { SavedBy = "bias" });
    }

    private void AddModule(TensorDifference difference, string path)
    {
        if (!_modules.Contains(path)) _modules.Add(path);
        _saved.Add(difference with { SavedBy = "modules_to_save" });
    }

    // PEFT takes every module whose path ends with the text, dot or not.
    private static string? ModuleProblem(string path, IReadOnlyCollection<string> paths)
    {
        if (path.Length == 0) return "modules_to_save cannot name the model itself, which it belongs to";
        if (paths.FirstOrDefault(other => other.StartsWith(path + ".", StringComparison.Ordinal)) is string inner)
            return $"modules_to_save would save all of '{path}', '{inner}' among it";
        if (paths.FirstOrDefault(other => other != path && other.EndsWith(path, StringComparison.Ordinal)) is string twin)
            return $"modules_to_save cannot name '{path}' alone: PEFT takes the name for the end of '{twin}' too";
        return null;
    }

    private static bool IsBias(string name, ModelTensors after) => (name == "bias" || name.EndsWith(".bias", StringComparison.Ordinal)) && after.ShapeOf(name) is [_];

    private static string ModuleOf(string name) => name.LastIndexOf('.') is var dot and > 0 ? name[..dot] : "";
}
