using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Adapts <see cref="MultiheadAttention"/>.</summary>
internal sealed class MultiheadAttentionKind : LoraLayerKind
{
    public override string ModuleName => nameof(MultiheadAttention);

    public override Type LayerType => typeof(LoraMultiheadAttention);

    internal override IReadOnlyList<string> Parts => LoraMultiheadAttention.PartNames;

    public override bool Supports(nn.Module module) => module is MultiheadAttention;

    public override IEnumerable<string> Problems(nn.Module module, AdapterSettings settings)
    {
        if (LoraMultiheadAttention.Refusal(module) is string refusal) yield return refusal;
    }

    public override ILoraLayer Create(nn.Module module, bool ownsBase) => new LoraMultiheadAttention((MultiheadAttention)module, ownsBase);
}
