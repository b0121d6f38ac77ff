using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Adapts raw parameters of a module, whatever its class.</summary>
internal sealed class ParameterKind : LoraLayerKind
{
    internal static ParameterKind Instance { get; } = new();

    public override string ModuleName => nameof(nn.Module);

    public override Type LayerType => typeof(LoraParameters);

    public override bool Supports(nn.Module module) => true;

    public override ILoraLayer Create(nn.Module module, bool ownsBase) => new LoraParameters(module);
}
