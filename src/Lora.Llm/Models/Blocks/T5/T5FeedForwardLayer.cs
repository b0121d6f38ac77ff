using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>One part of a T5's block: the feed-forward part behind a norm, added to what came in.</summary>
internal sealed class T5FeedForwardLayer : nn.Module<Tensor, Tensor>
{
    private readonly double _dropout;

    [ComponentName(Name = "DenseReluDense")]
    private nn.Module<Tensor, Tensor> _dense;

    [ComponentName(Name = "layer_norm")]
    private nn.Module<Tensor, Tensor> _norm;

    internal T5FeedForwardLayer(T5Config config, ScalarType dataType, Device device)
        : base(nameof(T5FeedForwardLayer))
    {
        _dropout = config.Dropout;
        _dense = new T5FeedForward(config, dataType, device);
        _norm = new RmsNorm(config.HiddenSize, config.NormEpsilon, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor change = _dense.call(_norm.call(x));
        return x.add(Dropouts.Apply(change, _dropout, training)).MoveToOuterDisposeScope();
    }
}
