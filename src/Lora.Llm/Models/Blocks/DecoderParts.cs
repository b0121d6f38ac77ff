using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Makes the parts of a decoder: what differs between families. This one makes those of Llama and its next of kin.</summary>
/// <param name="config">The model's shape.</param>
internal class DecoderParts(DecoderConfig config)
{
    /// <summary>What the embedded tokens are multiplied with, rounded to the model's type; null for nothing.</summary>
    internal virtual double? EmbeddingScale => null;

    /// <summary>Makes a norm over the residual stream or a head.</summary>
    internal virtual nn.Module<Tensor, Tensor> Norm(int width, ScalarType type, Device device) => new RmsNorm(width, config.NormEpsilon, type, device);

    /// <summary>Makes the layer at a place.</summary>
    internal virtual DecoderLayer Layer(int place, ScalarType type, Device device) => new PreNormLayer(
        config.ReachOf(place),
        new CausalAttention(config, config.Attention, config.NormalizesHeads ? () => Norm(config.HeadDimension, type, device) : null, type, device),
        new GatedMlp(config.HiddenSize, config.IntermediateSize, config.FeedForwardBias, activation: null, type, device),
        () => Norm(config.HiddenSize, type, device));
}
