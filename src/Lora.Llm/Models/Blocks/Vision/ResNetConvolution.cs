using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>A convolution without bias, its batch norm, and an activation behind them or none. An odd kernel keeps height and width but for the stride.</summary>
internal sealed class ResNetConvolution : nn.Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor>? _activation;

    [ComponentName(Name = "convolution")]
    private nn.Module<Tensor, Tensor> _convolution;

    [ComponentName(Name = "normalization")]
    private nn.Module<Tensor, Tensor> _norm;

    internal ResNetConvolution(int channels, int outChannels, int kernel, int stride, string? activation, ScalarType dataType, Device device)
        : base(nameof(ResNetConvolution))
    {
        _activation = activation is null ? null : Activations.Find(activation);
        _convolution = nn.Conv2d(channels, outChannels, kernel, stride, kernel / 2, bias: false, device: device, dtype: dataType);
        _norm = nn.BatchNorm2d(outChannels, device: device, dtype: dataType);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor normed = _norm.call(_convolution.call(x));
        return (_activation is null ? normed : _activation(normed)).MoveToOuterDisposeScope();
    }
}
