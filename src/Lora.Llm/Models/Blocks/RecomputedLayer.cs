using Lora.Llm.Blocks.Passes;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Runs a layer that keeps its inputs alone for backward.</summary>
internal static class RecomputedLayer
{
    /// <summary>Which layers of a forward pass run twice: none without gradients, since nothing is kept then, or with a cache, which would take the keys and values twice.</summary>
    /// <param name="choice">What the model's user wants.</param>
    /// <param name="layers">The number of layers.</param>
    /// <param name="cache">The cache of the pass.</param>
    /// <param name="sizes">What a layer keeps: all of its tensors, or its inputs alone.</param>
    internal static Func<int, bool> Chosen(GradientCheckpointing choice, int layers, KeyValueCache? cache, Func<(long Whole, long Input)> sizes) =>
        !is_grad_enabled() || cache is not null || layers == 0 ? _ => false : choice.Choose(layers, sizes);

    /// <summary>Runs it.</summary>
    internal static Tensor Call(nn.Module<Tensor, AttentionContext, Tensor> layer, Tensor hidden, AttentionContext context)
    {
        // What the layers share is freed behind the forward pass: the second run gets the tensors from the graph.
        Tensor?[] shared = [context.Rotation.Cosine, context.Rotation.Sine, context.Forbidden, context.Rows?.Cosine, context.Rows?.Sine, context.Causal?.Padding];
        return Checkpoint.Run(layer, Again, [hidden, .. shared.OfType<Tensor>()])[0];

        IReadOnlyList<Tensor> Again(IReadOnlyList<Tensor> inputs)
        {
            var kept = new Queue<Tensor>(inputs.Skip(1));
            Tensor?[] now = [.. shared.Select(tensor => tensor is null ? null : kept.Dequeue())];
            RowRotation? rows = context.Rows is null ? null : context.Rows with { Cosine = now[3]!, Sine = now[4]! };
            CausalReach? causal = context.Causal is null ? null : context.Causal with { Padding = now[5] };
            return [layer.call(inputs[0], context with { Rotation = (now[0]!, now[1]!), Forbidden = now[2], Rows = rows, Causal = causal })];
        }
    }
}
