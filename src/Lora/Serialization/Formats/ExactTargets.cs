using System.Text.RegularExpressions;
using Lora.Injection;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>Settings for layers that a file names one by one, each with its rank and alpha.</summary>
internal static class ExactTargets
{
    /// <summary>The settings: what most layers have, and a pattern for each of the others.</summary>
    /// <param name="model">The model, in which the settings must pick these layers and no other.</param>
    /// <param name="layers">The layers, one at least.</param>
    internal static LoraConfig ConfigOf(nn.Module model, IReadOnlyList<(string Path, int Rank, double Alpha)> layers)
    {
        int rank = MostOften(layers.Select(layer => layer.Rank));
        double alpha = MostOften(layers.Select(layer => layer.Alpha));
        return new LoraConfig
        {
            Rank = rank,
            Alpha = alpha,
            TargetModules = Of(model, [.. layers.Select(layer => layer.Path)]),
            RankPattern = new PatternTable<int>(layers.Where(layer => layer.Rank != rank).Select(layer => KeyValuePair.Create(Pattern(layer.Path), layer.Rank))),
            AlphaPattern = new PatternTable<double>(layers.Where(layer => !layer.Alpha.Equals(alpha)).Select(layer => KeyValuePair.Create(Pattern(layer.Path), layer.Alpha))),
        };
    }

    /// <summary>Picks the modules at these paths: by their names, unless one is also the end of another path.</summary>
    internal static ModuleSelector Of(nn.Module model, IReadOnlyCollection<string> paths)
    {
        ModuleSelector names = ModuleSelector.EndsWith(paths);
        return ModuleWalker.Walk(model).Any(site => names.Matches(site.Path) && !paths.Contains(site.Path)) ? ModuleSelector.Regex(string.Join('|', paths.Select(Regex.Escape))) : names;
    }

    /// <summary>The patterns with values for single paths before all others.</summary>
    internal static PatternTable<TValue> First<TValue>(IEnumerable<(string Path, TValue Value)> layers, IReadOnlyDictionary<string, TValue> patterns)
        where TValue : IEquatable<TValue> =>
        new(layers.Select(layer => KeyValuePair.Create(Pattern(layer.Path), layer.Value)).Concat(patterns).DistinctBy(pattern => pattern.Key));

    // A key that stands for one path alone.
    private static string Pattern(string path) => $"^{Regex.Escape(path)}";

    private static T MostOften<T>(IEnumerable<T> values) => values.GroupBy(value => value).MaxBy(group => group.Count())!.Key;
}
