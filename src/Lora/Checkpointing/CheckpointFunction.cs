using static TorchSharp.torch;

namespace Lora.Checkpointing;

/// <summary>The node of the gradient graph that stands for one <see cref="CheckpointPass"/>, which is its first argument; the tensors follow.</summary>
internal sealed class CheckpointFunction : autograd.MultiTensorFunction<CheckpointFunction>
{
    private const string Pass = "pass";

    public override string Name => nameof(CheckpointFunction);

    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var pass = (CheckpointPass)vars[0];
        Tensor[] arguments = [.. vars.Skip(1).Cast<Tensor>()];
        List<Tensor> outputs = pass.Forward(arguments);
        ctx.save_data(Pass, pass);
        // An output that nobody used then comes as an invalid tensor, and its part of the work is left out.
        ctx.set_materialize_grads(false);
        // The parameters too, which takes no memory: one that is changed in place before backward is refused.
        ctx.save_for_backward([.. arguments]);
        return outputs;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs)
    {
        // On CUDA this is another thread than the caller's, with no scope and with the gradient mode off.
        using var scope = NewDisposeScope();
        List<Tensor> gradients = ((CheckpointPass)ctx.get_data(Pass)).Backward(ctx.get_saved_variables(), grad_outputs);
        foreach (Tensor gradient in gradients.Where(gradient => gradient is { IsInvalid: false })) gradient.MoveToOuterDisposeScope();
        return [null!, .. gradients];
    }
}
