using Lora.Layers;

namespace Lora.Initialization;

/// <summary>What each kind of adapter draws by itself (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1).</summary>
internal sealed record KaimingInitialization : AdapterInitialization
{
    internal override bool LeavesToAdapter(LoraAdapter adapter) => true;

    protected internal override void Initialize(AdapterStart start) => throw new InvalidOperationException($"'{start.Path}' draws its own values.");
}
