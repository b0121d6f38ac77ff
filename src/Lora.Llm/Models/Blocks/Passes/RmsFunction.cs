using Lora.Layers.OnePass;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>The node of the gradient graph that stands for a <see cref="RmsPass"/>. Its arguments: x, w, ε.</summary>
internal sealed class RmsFunction : autograd.SingleTensorFunction<RmsFunction>
{
    private const string Epsilon = "epsilon";

    public override string Name => nameof(RmsFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        (Tensor x, Tensor weight, double epsilon) = ((Tensor)vars[0], (Tensor)vars[1], (double)vars[2]);
        ctx.save_data(Epsilon, epsilon);
        (Tensor output, Tensor factors) = RmsPass.Forward(x, weight, epsilon);
        ctx.save_for_backward([x, weight, factors]);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor x, Tensor weight, Tensor factors) = (saved[0], saved[1], saved[2]);
        if (is_grad_enabled())
        {
            List<Tensor> gradients = PlainGradients.Of(() => RmsPass.Plain(x, weight, (double)ctx.get_data(Epsilon)), [x, weight], grad_output);
            return [BackwardResult.Of(gradients[0]), BackwardResult.Of(gradients[1]), null!];
        }
        return [BackwardResult.Of(x.requires_grad ? RmsPass.OfInput(x, weight, factors, grad_output) : null), BackwardResult.Of(weight.requires_grad ? RmsPass.OfWeight(x, factors, grad_output) : null), null!];
    }
}
