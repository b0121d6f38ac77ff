using static TorchSharp.torch;

namespace Lora.Layers.OnePass;

/// <summary>The node of the gradient graph that stands for a <see cref="LinearPass"/>. Its arguments: the pass, x, x̂ or null, W, A, B.</summary>
internal sealed class LinearFunction : autograd.SingleTensorFunction<LinearFunction>
{
    private const string Pass = "pass", HasDropped = "dropped";

    public override string Name => nameof(LinearFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var pass = (LinearPass)vars[0];
        var dropped = (Tensor?)vars[2];
        ctx.save_data(Pass, pass);
        ctx.save_data(HasDropped, dropped is not null);
        (Tensor output, List<Tensor> saved) = pass.Forward((Tensor)vars[1], dropped, (Tensor)vars[3], (Tensor)vars[4], (Tensor)vars[5]);
        ctx.save_for_backward(saved);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        // On CUDA this is another thread than the caller's, with no scope.
        using var scope = NewDisposeScope();
        var (input, dropped, a, b) = ((LinearPass)ctx.get_data(Pass)).Backward(ctx.get_saved_variables(), (bool)ctx.get_data(HasDropped), grad_output);
        return [null!, BackwardResult.Of(input), BackwardResult.Of(dropped), null!, BackwardResult.Of(a), BackwardResult.Of(b)];
    }
}
