using Lora.Combining;
using Lora.Targeting;

namespace Lora.Conversion;

/// <summary>Configurations that pick certain layers of a model, and no others, with the rank and alpha of each.</summary>
internal static class ExactConfig
{
    /// <summary>Completes a configuration: what most layers have, and a pattern for each of the others.</summary>
    /// <param name="start">The other settings; its targets are kept where they pick exactly these layers.</param>
    /// <param name="layers">The layers, one at least.</param>
    /// <param name="paths">The paths of all modules of the model, as far as they are known.</param>
    internal static LoraConfig Of(LoraConfig start, IReadOnlyList<(string Path, int Rank, double Alpha)> layers, IReadOnlyCollection<string> paths)
    {
        int rank = MostOften(layers.Select(layer => layer.Rank));
        double alpha = MostOften(layers.Select(layer => layer.Alpha));
        return start with
        {
            Rank = rank,
            Alpha = alpha,
            RankPattern = new PatternTable<int>(layers.Where(layer => layer.Rank != rank).Select(layer => KeyValuePair.Create(PatternOf(layer.Path), layer.Rank))),
            AlphaPattern = new PatternTable<double>(layers.Where(layer => !layer.Alpha.Equals(alpha)).Select(layer => KeyValuePair.Create(PatternOf(layer.Path), layer.Alpha))),
            TargetModules = TargetsOf(start.TargetModules, [.. layers.Select(layer => layer.Path)], paths),
            ExcludedModules = null,
        };
    }

    private static ModuleSelector TargetsOf(ModuleSelector? wanted, IReadOnlyList<string> layers, IReadOnlyCollection<string> paths)
    {
        var chosen = layers.ToHashSet(StringComparer.Ordinal);
        string[] others = [.. paths.Where(path => !chosen.Contains(path))];
        bool IsExact(ModuleSelector selector) => chosen.All(selector.Matches) && !others.Any(selector.Matches);
        if (wanted is not null && !wanted.Equals(ModuleSelector.AllLinear) && IsExact(wanted)) return wanted;
        ModuleSelector names = ModuleSelector.EndsWith(ShortNames.Of(layers, others));
        return IsExact(names) ? names : ModuleSelector.Regex(string.Join('|', layers.Select(CombinedConfig.Escaped)));
    }

    /// <summary>A key of patterns that stands for one path alone.</summary>
    internal static string PatternOf(string path) => "^" + CombinedConfig.Escaped(path);

    private static T MostOften<T>(IEnumerable<T> values)
        where T : notnull => values.GroupBy(value => value).OrderByDescending(group => group.Count()).ThenByDescending(group => group.Key).First().Key;
}
