using Lora.Llm.Blocks.Passes;
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
        if (!RmsPass.Fits(input, _weight)) return RmsPass.Plain(input, _weight, _epsilon).MoveToOuterDisposeScope();
        bool recorded = is_grad_enabled() && (input.requires_grad || _weight.requires_grad);
        Tensor output = recorded ? RmsFunction.apply(input, _weight, _epsilon) : RmsPass.Forward(input, _weight, _epsilon).Output;
        return output.MoveToOuterDisposeScope();
    }
}
