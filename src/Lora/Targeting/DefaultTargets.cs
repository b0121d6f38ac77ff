using Lora.Injection;
using static TorchSharp.torch;

namespace Lora.Targeting;

/// <summary>The layers that PEFT 0.20 adapts where no targets are given, by the family of the model.</summary>
internal static class DefaultTargets
{
    private static readonly Dictionary<string, ModuleSelector> _byFamily = new[]
    {
        ("t5 mt5", "q v"),
        ("bart opt gptj gpt_neo llama llama4 mistral mixtral stablelm gemma gemma2 gemma3_text qwen2 qwen3", "q_proj v_proj"),
        ("gpt2 gpt_bigcode", "c_attn"),
        ("bloom gpt_neox chatglm RefinedWebModel RefinedWeb falcon", "query_key_value"),
        ("blip-2", "q v q_proj v_proj"),
        ("bert roberta xlm-roberta electra layoutlm", "query value"),
        ("deberta-v2", "query_proj value_proj"),
        ("deberta", "in_proj"),
        ("mpt", "Wqkv"),
        ("btlm", "c_proj c_attn"),
        ("codegen", "qkv_proj"),
        ("phi", "q_proj v_proj fc1 fc2"),
        ("nemotron_h", "q_proj k_proj v_proj o_proj"),
        ("rwkv", "key value receptance output"),
        ("rwkv7", "r_proj k_proj v_proj o_proj key value"),
    }
        .SelectMany(row => row.Item1.Split(' ').Select(family => (family, Selector: ModuleSelector.EndsWith(row.Item2.Split(' ')))))
        .Append(("gemma4", ModuleSelector.Regex(@".*language_model\..*\.(q_proj|v_proj)")))
        .ToDictionary(pair => pair.Item1, pair => pair.Item2, StringComparer.Ordinal);

    /// <summary>The targets for a model, those of them that it has; null where its family is not known.</summary>
    internal static ModuleSelector? For(nn.Module model)
    {
        if (model is not IHasModelFamily { ModelFamily: string family } || !_byFamily.TryGetValue(family, out ModuleSelector? targets)) return null;
        // PEFT names more than some models of a family have.
        string[] present = [.. (targets.Names ?? []).Where(name => ModuleWalker.Walk(model).Any(site => ModuleSelector.EndsWith(name).Matches(site.Path)))];
        return present.Length > 0 ? ModuleSelector.EndsWith(present) : targets;
    }
}
