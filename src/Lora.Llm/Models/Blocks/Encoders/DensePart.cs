using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>A projection that keeps the width, in a module of its own as transformers names it.</summary>
internal sealed class DensePart : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "dense")]
    private nn.Module<Tensor, Tensor> _dense;

    internal DensePart(int width, ScalarType dataType, Device device)
        : base(nameof(DensePart))
    {
        _dense = UnfilledLayers.Linear(width, width, hasBias: true, dataType, device);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) => _dense.call(x);
}
