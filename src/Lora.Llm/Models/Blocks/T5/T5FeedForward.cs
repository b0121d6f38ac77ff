using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>wo(f(wi(x))), or with a gate wo(f(wi_0(x)) · wi_1(x)) (Shazeer 2020). The name that files give it says relu whatever f is.</summary>
internal sealed class T5FeedForward : nn.Module<Tensor, Tensor>
{
    private readonly Func<Tensor, Tensor> _activation;
    private readonly double _dropout;

    [ComponentName(Name = "wi")]
    private nn.Module<Tensor, Tensor>? _inner;

    [ComponentName(Name = "wi_0")]
    private nn.Module<Tensor, Tensor>? _gate;

    [ComponentName(Name = "wi_1")]
    private nn.Module<Tensor, Tensor>? _gated;

    [ComponentName(Name = "wo")]
    private nn.Module<Tensor, Tensor> _outer;

    internal T5FeedForward(T5Config config, ScalarType dataType, Device device)
        : base(nameof(T5FeedForward))
    {
        _activation = Activations.Find(config.Activation)!;
        _dropout = config.Dropout;
        if (config.IsGated) (_gate, _gated) = (Inner(), Inner());
        else _inner = Inner();
        _outer = UnfilledLayers.Linear(config.IntermediateSize, config.HiddenSize, hasBias: false, dataType, device);
        RegisterComponents();

        nn.Module<Tensor, Tensor> Inner() => UnfilledLayers.Linear(config.HiddenSize, config.IntermediateSize, hasBias: false, dataType, device);
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor hidden = _inner is not null ? _activation(_inner.call(x)) : Gated(SharedInput.Call(x, _gate!, _gated!));
        return _outer.call(Dropouts.Apply(hidden, _dropout, training)).MoveToOuterDisposeScope();

        Tensor Gated(Tensor[] projected) => _activation(projected[0]).mul(projected[1]);
    }
}
