using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Root-mean-square normalisation with weights around zero: (1 + w) · x / √(mean(x²) + ε), all of it in float32, as Gemma does.</summary>
internal sealed class CenteredRmsNorm : nn.Module<Tensor, Tensor>
{
    private readonly double _epsilon;

    [ComponentName(Name = "weight")]
    private Parameter _weight;

    internal CenteredRmsNorm(long width, double epsilon, ScalarType dataType, Device device)
        : base(nameof(CenteredRmsNorm))
    {
        _epsilon = epsilon;
        _weight = new Parameter(zeros([width], dtype: dataType, device: device));
        _weight.DetachFromDisposeScope();
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar epsilon = _epsilon, one = 1.0;
        ScalarType precise = input.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor x = input.to(precise);
        Tensor scale = x.square().mean([-1], keepdim: true).add(epsilon).rsqrt();
        return x.mul(scale).mul(_weight.to(precise).add(one)).to(input.dtype).MoveToOuterDisposeScope();
    }
}
