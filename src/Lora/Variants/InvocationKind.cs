using Lora.Layers;

namespace Lora.Variants;

/// <summary>aLoRA, by <see cref="LoraConfig.InvocationTokens"/>.</summary>
internal sealed class InvocationKind : LoraVariantKind
{
    private const string CausalLanguageModel = "CAUSAL_LM";

    internal static InvocationKind Instance { get; } = new();

    internal override string Title => "aLoRA";

    internal override string Setting => "alora_invocation_tokens";

    internal override string Unplaced => "the tokens behind which the adapter acts";

    internal override bool IsAskedFor(LoraConfig config) => config.InvocationTokens.Count > 0;

    // PEFT warns of it only.
    internal override IEnumerable<string> Contradictions(LoraConfig config)
    {
        if (config.TaskType is not (null or CausalLanguageModel)) yield return $"{Setting} goes with task_type {CausalLanguageModel} only, but that is {config.TaskType}.";
    }

    internal override IEnumerable<string> FileContradictions(LoraConfig config)
    {
        if (config.InvocationTokens.Where(token => token < 0).ToArray() is [var negative, ..]) yield return $"{Setting} must hold token ids, but has {negative}.";
        foreach (string problem in Uncombined(config)) yield return problem;
    }

    internal override LoraVariant Create(LoraAdapter adapter, AdaptedWeight weight, AdapterSettings settings) => new InvocationVariant();
}
