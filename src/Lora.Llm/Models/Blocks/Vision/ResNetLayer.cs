using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One layer of a ResNet: convolutions, and what came in added to them, which a convolution of 1 x 1 brings to the same shape where it has another.</summary>
internal sealed class ResNetLayer : nn.Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor> _activation;

    [ComponentName(Name = "shortcut")]
    private ResNetConvolution? _shortcut;

    [ComponentName(Name = "layer")]
    private ModuleList<ResNetConvolution> _layer;

    internal ResNetLayer(ResNetConfig config, int channels, int outChannels, int stride, ScalarType dataType, Device device)
        : base(nameof(ResNetLayer))
    {
        _activation = Activations.Find(config.Activation)!;
        if (channels != outChannels || stride != 1) _shortcut = Convolution(channels, outChannels, 1, stride, isLast: true);
        _layer = new ModuleList<ResNetConvolution>([.. config.LayerKind == ResNetLayerKind.Basic ? Basic() : Bottleneck()]);
        RegisterComponents();

        IEnumerable<ResNetConvolution> Basic() => [Convolution(channels, outChannels, 3, stride), Convolution(outChannels, outChannels, 3, 1, isLast: true)];

        IEnumerable<ResNetConvolution> Bottleneck()
        {
            int narrow = outChannels / ResNetConfig.Reduction;
            (int first, int second) = config.DownsampleInBottleneck ? (stride, 1) : (1, stride);
            return [Convolution(channels, narrow, 1, first), Convolution(narrow, narrow, 3, second), Convolution(narrow, outChannels, 1, 1, isLast: true)];
        }

        ResNetConvolution Convolution(int from, int to, int kernel, int step, bool isLast = false) => new(from, to, kernel, step, isLast ? null : config.Activation, dataType, device);
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        return _activation(LayerChain.Run(_layer, x).add(_shortcut is null ? x : _shortcut.call(x))).MoveToOuterDisposeScope();
    }
}
