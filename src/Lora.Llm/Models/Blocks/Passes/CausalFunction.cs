using Lora.Layers.OnePass;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>The node of the gradient graph that stands for <see cref="CausalBlocks"/>. Its arguments: the blocks, queries, keys, values.</summary>
internal sealed class CausalFunction : autograd.SingleTensorFunction<CausalFunction>
{
    private const string Blocks = "blocks", HasPadding = "padding";

    public override string Name => nameof(CausalFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var blocks = (CausalBlocks)vars[0];
        ctx.save_data(Blocks, blocks);
        (Tensor queries, Tensor keys, Tensor values) = ((Tensor)vars[1], (Tensor)vars[2], (Tensor)vars[3]);
        Tensor[] padding = blocks.Reach.Padding is Tensor found ? [found] : [];
        ctx.save_data(HasPadding, padding.Length > 0);
        List<Tensor> weights = [];
        Tensor output = blocks.Forward(queries, keys, values, weights);
        // Not the output itself, which would be kept with its graph.
        ctx.save_for_backward([queries, keys, values, output.detach(), .. padding, .. weights]);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor queries, Tensor keys, Tensor values) = (saved[0], saved[1], saved[2]);
        var blocks = (CausalBlocks)ctx.get_data(Blocks);
        int padding = (bool)ctx.get_data(HasPadding) ? 1 : 0;
        if (is_grad_enabled())
        {
            return [null!, .. PlainGradients.Of(() => blocks.ByOperators(queries, keys, values, padding > 0 ? saved[4] : null), [queries, keys, values], grad_output).Select(BackwardResult.Of)];
        }
        var (q, k, v) = blocks.Backward(queries, keys, values, saved[3], saved[(4 + padding)..], grad_output);
        return [null!, BackwardResult.Of(queries.requires_grad ? q : null), BackwardResult.Of(keys.requires_grad ? k : null), BackwardResult.Of(values.requires_grad ? v : null)];
    }
}
