using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Chunked;

/// <summary>The node of the gradient graph that stands for one <see cref="LossPass"/>, which is its first argument; the rows and what else gets a gradient follow.</summary>
internal sealed class LossFunction : autograd.SingleTensorFunction<LossFunction>
{
    private const string Factor = "factor";
    private const string Types = "types";

    public override string Name => nameof(LossFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var pass = (LossPass)vars[0];
        Tensor[] tensors = [.. vars.Skip(1).Cast<Tensor>()];
        (Tensor loss, List<Tensor> gradients) = pass.Forward(tensors[0], tensors[1..]);
        ctx.save_data(Factor, pass.Factor);
        ctx.save_data(Types, tensors.Select(tensor => tensor.dtype).ToArray());
        ctx.save_for_backward(gradients);
        return loss;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        using Scalar factor = (double)ctx.get_data(Factor);
        Tensor by = grad_output.div(factor);
        var types = (ScalarType[])ctx.get_data(Types);
        return [null!, .. ctx.get_saved_variables().Zip(types, (gradient, type) => Scaled(gradient, by).to(type).MoveToOuterDisposeScope())];
    }

    // What is too small for float16 before it is multiplied need not be so behind it.
    private static Tensor Scaled(Tensor gradient, Tensor by) => gradient.dtype == ScalarType.Float16 ? gradient.to(by.dtype).mul_(by) : gradient.mul(by);
}
