using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Makes the parts of a Phi-3: fused projections, and dropout of what each part adds.</summary>
/// <param name="config">The model's shape.</param>
internal sealed class Phi3Parts(Phi3Config config) : DecoderParts(config)
{
    internal override DecoderLayer Layer(int place, ScalarType type, Device device) => new PreNormLayer(
        config.ReachOf(place),
        new FusedAttention(config.HiddenSize, config.Attention, type, device),
        new FusedGatedMlp(config.HiddenSize, config.IntermediateSize, type, device),
        () => Norm(config.HiddenSize, type, device))
    {
        Dropout = config.ResidualDropout,
    };
}
