using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Root-mean-square normalisation: w · x / √(mean(x²) + ε), computed in float32 (Zhang and Sennrich 2019).</summary>
internal sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    private readonly double _epsilon;

    [ComponentName(Name = "weight")]
    private Parameter _weight;

    internal RmsNorm(long width, double epsilon, ScalarType dataType, Device device)
        : base(nameof(RmsNorm))
    {
        _epsilon = epsilon;
        _weight = new Parameter(ones([width], dtype: dataType, device: device));
        _weight.DetachFromDisposeScope();
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar epsilon = _epsilon;
        Tensor x = input.dtype == ScalarType.Float64 ? input : input.to(ScalarType.Float32);
        Tensor scale = x.square().mean([-1], keepdim: true).add(epsilon).rsqrt();
        return x.mul(scale).to(input.dtype).mul(_weight).MoveToOuterDisposeScope();
    }
}
