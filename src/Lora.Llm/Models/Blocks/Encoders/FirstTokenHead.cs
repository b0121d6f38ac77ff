using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>RoBERTa's classifier of whole texts: two layers over the first token.</summary>
internal sealed class FirstTokenHead : nn.Module<Tensor, Tensor>
{
    private readonly double _dropout;

    [ComponentName(Name = "dense")]
    private nn.Module<Tensor, Tensor> _dense;

    [ComponentName(Name = "out_proj")]
    private nn.Module<Tensor, Tensor> _output;

    internal FirstTokenHead(EncoderConfig config, ScalarType dataType, Device device)
        : base(nameof(FirstTokenHead))
    {
        _dropout = config.ClassifierDropout ?? config.HiddenDropout;
        _dense = UnfilledLayers.Linear(config.HiddenSize, config.HiddenSize, hasBias: true, dataType, device);
        _output = UnfilledLayers.Linear(config.HiddenSize, config.Labels.Count, hasBias: true, dataType, device);
        RegisterComponents();
    }

    /// <param name="hidden">Shape <c>[batch, length, width]</c>.</param>
    public override Tensor forward(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return _output.call(Dropped(_dense.call(Dropped(hidden.select(1, 0))).tanh())).MoveToOuterDisposeScope();

        Tensor Dropped(Tensor x) => Dropouts.Apply(x, _dropout, training);
    }
}
