using Lora.Layers.OnePass;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>The node of the gradient graph that stands for a <see cref="SwiGluPass"/>. Its arguments: g, u.</summary>
internal sealed class SwiGluFunction : autograd.SingleTensorFunction<SwiGluFunction>
{
    public override string Name => nameof(SwiGluFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        (Tensor gate, Tensor up) = ((Tensor)vars[0], (Tensor)vars[1]);
        ctx.save_for_backward([gate, up]);
        return SwiGluPass.Forward(gate, up);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor gate, Tensor up) = (saved[0], saved[1]);
        if (is_grad_enabled()) return [.. PlainGradients.Of(() => SwiGluPass.Plain(gate, up), [gate, up], grad_output).Select(BackwardResult.Of)];
        (Tensor ofGate, Tensor ofUp) = SwiGluPass.Backward(gate, up, grad_output);
        return [BackwardResult.Of(gate.requires_grad ? ofGate : null), BackwardResult.Of(up.requires_grad ? ofUp : null)];
    }
}
