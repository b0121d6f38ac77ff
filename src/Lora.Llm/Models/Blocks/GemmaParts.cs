using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Makes the parts of a Gemma 2 or 3: scaled embeddings, norms around zero before and after each part, a gate of GELU.</summary>
/// <param name="config">The model's shape.</param>
internal sealed class GemmaParts(DecoderConfig config) : DecoderParts(config)
{
    private readonly DecoderConfig _config = config;

    internal override double? EmbeddingScale => Math.Sqrt(_config.HiddenSize);

    internal override nn.Module<Tensor, Tensor> Norm(int width, ScalarType type, Device device) => new CenteredRmsNorm(width, _config.NormEpsilon, type, device);

    internal override DecoderLayer Layer(int place, ScalarType type, Device device) => new SandwichLayer(
        _config.ReachOf(place),
        new CausalAttention(_config, _config.Attention, _config.NormalizesHeads ? () => Norm(_config.HeadDimension, type, device) : null, type, device),
        new GatedMlp(_config.HiddenSize, _config.IntermediateSize, hasBias: false, Activations.GeluTanh, type, device),
        () => Norm(_config.HiddenSize, type, device));
}
