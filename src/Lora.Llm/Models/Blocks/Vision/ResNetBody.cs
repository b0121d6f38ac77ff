using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>A ResNet without its head: a first convolution, the stages, and the mean over all positions.</summary>
internal sealed class ResNetBody : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "embedder")]
    private nn.Module<Tensor, Tensor> _embedder;

    [ComponentName(Name = "encoder")]
    private nn.Module<Tensor, Tensor> _encoder;

    [ComponentName(Name = "pooler")]
    private nn.Module<Tensor, Tensor> _pooler;

    internal ResNetBody(ResNetConfig config, ScalarType dataType, Device device)
        : base(nameof(ResNetBody))
    {
        _embedder = new Embeddings(config, dataType, device);
        int[] channels = [config.EmbeddingSize, .. config.HiddenSizes];
        _encoder = new LayerChain("stages", config.Depths.Select((depth, stage) => new LayerChain("layers", Layers(stage, depth))));
        _pooler = nn.AdaptiveAvgPool2d(1);
        RegisterComponents();

        IEnumerable<nn.Module<Tensor, Tensor>> Layers(int stage, int depth) => Enumerable.Range(0, depth).Select(i => new ResNetLayer(
            config, channels[i == 0 ? stage : stage + 1], channels[stage + 1], i == 0 && (stage > 0 || config.DownsampleInFirstStage) ? 2 : 1, dataType, device));
    }

    /// <returns>Features, shape <c>[batch, channels, 1, 1]</c>.</returns>
    public override Tensor forward(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        return _pooler.call(_encoder.call(_embedder.call(pixels))).MoveToOuterDisposeScope();
    }

    private sealed class Embeddings : nn.Module<Tensor, Tensor>
    {
        [ComponentName(Name = "embedder")]
        private nn.Module<Tensor, Tensor> _embedder;

        [ComponentName(Name = "pooler")]
        private nn.Module<Tensor, Tensor> _pooler;

        internal Embeddings(ResNetConfig config, ScalarType dataType, Device device)
            : base(nameof(Embeddings))
        {
            _embedder = new ResNetConvolution(config.Channels, config.EmbeddingSize, 7, 2, config.Activation, dataType, device);
            _pooler = nn.MaxPool2d(3, 2, 1);
            RegisterComponents();
        }

        public override Tensor forward(Tensor pixels)
        {
            using var scope = NewDisposeScope();
            return _pooler.call(_embedder.call(pixels)).MoveToOuterDisposeScope();
        }
    }
}
