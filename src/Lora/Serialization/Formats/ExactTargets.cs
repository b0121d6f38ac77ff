using Lora.Conversion;
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
    internal static LoraConfig ConfigOf(nn.Module model, IReadOnlyList<(string Path, int Rank, double Alpha)> layers) =>
        ExactConfig.Of(new LoraConfig(), layers, [.. ModuleWalker.Walk(model).Select(site => site.Path)]);

    /// <summary>The patterns with values for single paths before all others.</summary>
    internal static PatternTable<TValue> First<TValue>(IEnumerable<(string Path, TValue Value)> layers, IReadOnlyDictionary<string, TValue> patterns)
        where TValue : IEquatable<TValue> =>
        new(layers.Select(layer => KeyValuePair.Create(ExactConfig.PatternOf(layer.Path), layer.Value)).Concat(patterns).DistinctBy(pattern => pattern.Key));
}
