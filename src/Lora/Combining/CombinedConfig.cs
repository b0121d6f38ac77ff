using System.Text.RegularExpressions;
using Lora.Injection;
using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>The configuration of a combined adapter: the first one's, with the ranks that came out, scale 1, and the layers of all.</summary>
internal static partial class CombinedConfig
{
    /// <param name="model">The model.</param>
    /// <param name="options">The options that it was wrapped with.</param>
    /// <param name="request">What was combined.</param>
    /// <param name="ranks">The rank of each layer by path, in the model's order.</param>
    internal static LoraConfig Of(nn.Module model, WrapOptions options, CombineRequest request, IReadOnlyDictionary<string, int> ranks)
    {
        IReadOnlyList<LoraConfig> configs = [.. request.Sources.Select(source => source.Config)];
        int rank = ranks.Values.GroupBy(value => value).OrderByDescending(group => group.Count()).ThenByDescending(group => group.Key).First().Key;
        KeyValuePair<string, int>[] others = [.. ranks.Where(pair => pair.Value != rank).Select(pair => KeyValuePair.Create("^" + Escaped(pair.Key), pair.Value))];
        LoraConfig config = configs[0] with
        {
            Rank = rank,
            Alpha = rank,
            RankPattern = others.ToDictionary(),
            AlphaPattern = others.ToDictionary(pair => pair.Key, pair => (double)pair.Value),
            Initialization = AdapterInitialization.Kaiming,
            UseRankStabilizedScaling = request.Options.PeftCompatible && configs[0].UseRankStabilizedScaling,
        };
        LoraConfig[] candidates =
        [
            .. Union(configs) is ModuleSelector union ? new[] { config with { TargetModules = union } } : [],
            config with { TargetModules = ModuleSelector.EndsWith(ranks.Keys), ExcludedModules = null },
            config with { TargetModules = ModuleSelector.Regex(string.Join('|', ranks.Keys.Select(Escaped))), ExcludedModules = null },
        ];
        return candidates.First(candidate => InjectionPlan.Make(model, candidate, options) is { Problems.Count: 0 } plan && plan.Layers.Select(layer => layer.Site.Path).SequenceEqual(ranks.Keys));
    }

    // As PEFT joins them: names become one list, and regular expressions alternatives. Null where there are both.
    private static ModuleSelector? Union(IReadOnlyList<LoraConfig> configs)
    {
        ModuleSelector[] targets = [.. configs.Select(config => config.TargetModules!)];
        if (targets.All(target => target.Names is not null)) return ModuleSelector.EndsWith(targets.SelectMany(target => target.Names!));
        if (!targets.All(target => target.Pattern is not null)) return null;
        return ModuleSelector.Regex(string.Join('|', targets.Select(target => $"({target.Pattern})")));
    }

    /// <summary>A path as a pattern in Python's syntax that matches it alone.</summary>
    internal static string Escaped(string path) => Special().Replace(path, @"\$0");

    [GeneratedRegex(@"[\\.+*?^$|(){}\[\]]", RegexOptions.CultureInvariant)]
    private static partial Regex Special();
}
