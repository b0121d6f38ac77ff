using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Attention of several heads that looks everywhere (Vaswani et al. 2017).</summary>
internal static class MultiHead
{
    /// <summary>Mixes values by the softmax of the scaled products of queries and keys.</summary>
    /// <param name="queries">Shape <c>[batch, length, width]</c>, as keys and values.</param>
    /// <param name="keys">The keys.</param>
    /// <param name="values">The values.</param>
    /// <param name="heads">How many share the width.</param>
    /// <param name="dropout">The share of weights that is dropped.</param>
    internal static Tensor Mix(Tensor queries, Tensor keys, Tensor values, int heads, double dropout)
    {
        long[] shape = queries.shape;
        return nn.functional.scaled_dot_product_attention(Heads(queries), Heads(keys), Heads(values), null, dropout).transpose(1, 2).reshape(shape);

        Tensor Heads(Tensor x) => x.view(shape[0], shape[1], heads, shape[2] / heads).transpose(1, 2);
    }
}
