using System.Globalization;

namespace Lora.Targeting;

/// <summary>Says whether a module's path lies in one of the chosen layers.</summary>
internal sealed class LayerFilter
{
    private readonly HashSet<string> _exact;
    private readonly HashSet<int> _layers;
    private readonly PythonRegex[] _patterns;

    private LayerFilter(LoraConfig config, string before)
    {
        _exact = [.. config.TargetModules?.Names ?? []];
        _layers = [.. config.LayersToTransform];
        _patterns = _layers.Count == 0 ? [] : [.. Containers(config).Select(container => PythonRegex.Match($@"{before}{container}\.(\d+)\."))];
    }

    /// <param name="config">The settings.</param>
    /// <param name="asPeft">Whether a list of layers at the model's root is overlooked, as PEFT does; else it counts like any other.</param>
    internal static LayerFilter Of(LoraConfig config, bool asPeft) => new(config, asPeft ? @".*?\." : @"(?:.*?\.)??");

    internal static IEnumerable<string> Problems(LoraConfig config, bool ofFile)
    {
        (string layers, string pattern, string targets) = ofFile ? ("layers_to_transform", "layers_pattern", "target_modules") : ("LayersToTransform", "LayersPattern", "TargetModules");
        if (config.LayersToTransform.Count > 0 && config.TargetModules is { Names: null })
            yield return $"{layers} needs {targets} as a list of names; put the layers' numbers into the pattern instead.";
        if (config.LayersPattern.Count > 0 && config.LayersToTransform.Count == 0)
            yield return $"{pattern} is set without {layers}, so it has no effect; set both or neither.";
        if (config.LayersToTransform.Any(layer => layer < 0))
            yield return $"{layers} must hold numbers from 0 on, but one is {config.LayersToTransform.First(layer => layer < 0)}.";
        foreach (string entry in config.LayersPattern)
        {
            if (Reason(entry) is string reason) yield return $"{pattern}: the pattern '{entry}' is not a valid regular expression: {reason}.";
        }
    }

    internal bool Accepts(string path) => _layers.Count == 0 || _exact.Contains(path)
        || (_patterns.Select(pattern => pattern.FirstGroup(path)).FirstOrDefault(number => number is not null) is string number
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int layer) && _layers.Contains(layer));

    private static IEnumerable<string> Containers(LoraConfig config) => config.LayersPattern.Count > 0 ? config.LayersPattern : [@"[^.]*"];

    private static string? Reason(string pattern)
    {
        if (PythonRegex.IsPlain(pattern)) return null;
        try
        {
            PythonRegex.Match(pattern);
            return null;
        }
        catch (PatternException exception)
        {
            return exception.Message;
        }
    }
}
