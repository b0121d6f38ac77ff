using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>What ends both halves of an encoder's layer: a projection with dropout, added to what came in, behind which lies the norm.</summary>
internal sealed class AddedAndNormed : nn.Module<Tensor, Tensor, Tensor>
{
    private readonly double _dropout;

    [ComponentName(Name = "dense")]
    private nn.Module<Tensor, Tensor> _dense;

    [ComponentName(Name = "LayerNorm")]
    private nn.Module<Tensor, Tensor> _norm;

    internal AddedAndNormed(EncoderConfig config, int inner, ScalarType dataType, Device device)
        : base(nameof(AddedAndNormed))
    {
        _dropout = config.HiddenDropout;
        _dense = UnfilledLayers.Linear(inner, config.HiddenSize, hasBias: true, dataType, device);
        _norm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        RegisterComponents();
    }

    public override Tensor forward(Tensor inner, Tensor before)
    {
        using var scope = NewDisposeScope();
        return _norm.call(Dropouts.Apply(_dense.call(inner), _dropout, training).add(before)).MoveToOuterDisposeScope();
    }
}
