using Lora.Llm.Training.Chunked;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// The cross-entropy of a linear output head, −Σ log softmax(h·Wᵀ + b)[label], computed in chunks of rows: the logits of all rows are never in memory together, and
/// rows without a label are left out. The value and the gradients are those of the plain computation.
/// </summary>
/// <remarks>
/// <para>The gradient of each chunk is computed together with its loss, so that no logits are kept for backward: what is kept has the size of <c>hidden</c>. No more
/// products are computed than without chunks (the idea of Liger Kernel's fused linear cross-entropy, Hsu et al. 2024). A gradient of the gradient is not defined.</para>
/// <para>The logits are computed in the type of <c>hidden</c>, the softmax in float32, or in float64 for float64. In float16 the gradients are kept in
/// its range until backward scales them, so that a scaled loss (<see cref="Optimization.LossScaler"/>) helps as it does without chunks.</para>
/// </remarks>
public static class LinearCrossEntropy
{
    /// <summary>Computes the loss of rows of hidden states.</summary>
    /// <param name="hidden">Shape <c>[rows, in]</c>.</param>
    /// <param name="weight">The head's weight, shape <c>[vocabulary, in]</c>, in the type of <paramref name="hidden"/>.</param>
    /// <param name="labels">int64, shape <c>[rows]</c>, −100 where nothing is learned. They are not shifted.</param>
    /// <param name="bias">The head's bias, shape <c>[vocabulary]</c>, or null.</param>
    /// <param name="softCap">Caps the logits z at ±c by c·tanh(z / c) (Gemma 2); null does not.</param>
    /// <param name="learnedTokens">What the sum is divided by; null for the number of labels, which gives the mean.</param>
    /// <param name="chunkRows">The number of rows of a chunk; null for as many as make 4 million logits on a CPU and 128 million elsewhere.</param>
    /// <returns>A scalar in float32, or in float64 for float64. Where no row has a label, the sum is 0 with a gradient of 0, and the mean of nothing is NaN, as in PyTorch.</returns>
    /// <exception cref="ArgumentException">The shapes or types do not go together, or a label is no token of the vocabulary.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive.</exception>
    public static Tensor Compute(
        Tensor hidden, Tensor weight, Tensor labels, Tensor? bias = null, double? softCap = null, double? learnedTokens = null, int? chunkRows = null)
    {
        ArgumentNullException.ThrowIfNull(hidden);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(labels);
        if (hidden.dim() != 2 || weight.dim() != 2 || weight.shape[1] != hidden.shape[1] || weight.dtype != hidden.dtype
            || (bias is not null && (!bias.shape.AsSpan().SequenceEqual([weight.shape[0]]) || bias.dtype != weight.dtype)))
        {
            throw new ArgumentException(
                $"Hidden states [rows, in], a weight [vocabulary, in] and a bias [vocabulary] of one type were expected, but hidden states are {Text(hidden)}, the weight {Text(weight)}"
                + $"{(bias is null ? "" : $" and the bias {Text(bias)}")}.");
        }
        if (!labels.shape.AsSpan().SequenceEqual([hidden.shape[0]]) || labels.dtype != ScalarType.Int64)
            throw new ArgumentException($"Labels must be int64 of the shape [{hidden.shape[0]}], one for each row, but are {Text(labels)}.", nameof(labels));
        if (softCap is not (null or > 0)) throw new ArgumentOutOfRangeException(nameof(softCap), softCap, "A cap must be above 0.");
        if (chunkRows is < 1) throw new ArgumentOutOfRangeException(nameof(chunkRows), chunkRows, "A chunk must have at least 1 row.");
        return LossPass.Run(hidden, new LinearHead(() => weight, () => bias), labels, softCap, learnedTokens, chunkRows);
    }

    internal static string Text(Tensor tensor) => $"{tensor.dtype} [{string.Join(", ", tensor.shape)}]";
}
