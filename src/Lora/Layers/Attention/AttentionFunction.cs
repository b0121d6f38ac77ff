using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>The node of the gradient graph that stands for one <see cref="AttentionPass"/>, which is its first argument; the tensors follow.</summary>
internal sealed class AttentionFunction : autograd.MultiTensorFunction<AttentionFunction>
{
    private const string Pass = "pass";

    public override string Name => nameof(AttentionFunction);

    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var pass = (AttentionPass)vars[0];
        ctx.save_data(Pass, pass);
        // An output that nobody used then comes as an invalid tensor, and its part of the work is left out.
        ctx.set_materialize_grads(false);
        (List<Tensor> outputs, List<Tensor> saved) = pass.Forward([.. vars.Skip(1).Cast<Tensor>()]);
        ctx.save_for_backward(saved);
        return outputs;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs)
    {
        // On CUDA this is another thread than the caller's, with no scope and with the gradient mode off.
        using var scope = NewDisposeScope();
        List<Tensor> gradients = ((AttentionPass)ctx.get_data(Pass)).Backward(ctx.get_saved_variables(), grad_outputs);
        foreach (Tensor gradient in gradients.Where(gradient => gradient is { IsInvalid: false })) gradient.MoveToOuterDisposeScope();
        return [null!, .. gradients];
    }
}
