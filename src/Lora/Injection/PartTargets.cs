using System.Text.RegularExpressions;
using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>
/// Says a choice of single weights of a layer, which PEFT does not know, so that PEFT reads it too: the layer is a target, and the weights that are left
/// out are excluded. PEFT passes over such exclusions, and finds zeros for these weights in the file.
/// </summary>
internal static class PartTargets
{
    /// <summary>The configuration as a file holds it; the same where no layer is adapted in parts.</summary>
    internal static LoraConfig AsPeft(nn.Module model, LoraConfig config, IReadOnlyList<AdapterLayer> layers, string name)
    {
        (string Path, string[] Absent)[] partial =
        [
            .. layers.Where(layer => layer.Layer is LoraMultiheadAttention)
                .Select(layer => (layer.Path, LoraMultiheadAttention.PartNames.Except(((CompositeAdapter)layer.Layer.Adapters[name]).PartNames).ToArray()))
                .Where(layer => layer.Item2.Length > 0),
        ];
        if (partial.Length == 0) return config;
        string[] modules = [.. ModuleWalker.Walk(model).Select(site => site.Path)];
        string[] paths = [.. layers.Where(layer => layer.Layer is not LoraParameters).Select(layer => layer.Path)];
        // Names of weights go, the layers that have them come.
        string[] names = [.. (config.TargetModules!.Names ?? []).Where(entry => modules.Any(ModuleSelector.EndsWith(entry).Matches))];
        LoraConfig saved = config with
        {
            TargetModules = ModuleSelector.EndsWith([.. names, .. partial.Select(layer => layer.Path).Where(path => names.Length == 0 || !ModuleSelector.EndsWith(names).Matches(path))]),
            ExcludedModules = With(config.ExcludedModules, [.. partial.SelectMany(layer => layer.Absent.Select(part => $"{layer.Path}.{part}"))]),
        };
        // A name may be the end of another layer's path, which a pattern of whole paths cannot be taken for.
        return modules.Where(saved.Selects).ToHashSet().SetEquals(paths) ? saved : saved with { TargetModules = ModuleSelector.Regex(string.Join('|', paths.Select(Regex.Escape))) };
    }

    private static ModuleSelector With(ModuleSelector? selector, string[] paths) => selector switch
    {
        null => ModuleSelector.EndsWith(paths),
        { Pattern: string pattern } => ModuleSelector.Regex($"(?:{pattern})|{string.Join('|', paths.Select(Regex.Escape))}"),
        _ => ModuleSelector.EndsWith([.. selector.Names!, .. paths]).Equals(selector) ? selector : ModuleSelector.EndsWith([.. selector.Names!, .. paths]),
    };
}
