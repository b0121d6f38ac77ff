using System.Text.RegularExpressions;
using Lora.Injection;
using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Targeting;

/// <summary>With <c>ensure_weight_tying</c> the token embedding is the target where it or the head that shares its weight is asked for, as in PEFT.</summary>
internal static class TiedTargets
{
    /// <summary>The configuration with the embedding instead of the head among its targets; the same where nothing is tied, or neither is a target.</summary>
    internal static LoraConfig With(LoraConfig config, nn.Module model)
    {
        if (!config.EnsureWeightTying || config.TargetModules is not ModuleSelector targets || targets.Equals(ModuleSelector.AllLinear)) return config;
        if (Sites(model, ModuleWalker.Walk(model)) is not (ModuleSite embedding, ModuleSite head)) return config;
        if (config.ExcludedModules?.Matches(embedding.Path) == true || (!targets.Matches(embedding.Path) && !targets.Matches(head.Path))) return config;
        return config with
        {
            TargetModules = targets.Pattern is string pattern
                ? targets.Matches(embedding.Path) ? targets : ModuleSelector.Regex($"(?:{pattern}|^{Regex.Escape(embedding.Path)}$)")
                : ModuleSelector.EndsWith(targets.Names!.Where(name => !ModuleSelector.EndsWith(name).Matches(head.Path)).Append(embedding.Path).Distinct()),
        };
    }

    /// <summary>Where a model's token embedding is, and the head that shares its weight; null where there are none.</summary>
    internal static (ModuleSite Embedding, ModuleSite Head)? Sites(nn.Module model, IReadOnlyList<ModuleSite> sites)
    {
        if (model is not IHasTokenEmbedding { TiedHead: nn.Module head, TokenEmbedding: nn.Module embedding }) return null;
        ModuleSite? Find(nn.Module module) => sites.FirstOrDefault(site => ReferenceEquals(site.Module, module is ILoraLayer layer ? layer.BaseLayer : module));
        return Find(embedding) is ModuleSite first && Find(head) is ModuleSite second ? (first, second) : null;
    }
}
