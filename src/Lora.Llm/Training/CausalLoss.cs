using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>The loss of language models: the mean cross-entropy of each token given those before it. <see cref="CausalLanguageModel.Loss"/> computes it without all logits in memory.</summary>
public static class CausalLoss
{
    /// <summary>Computes the loss in float32 (float64 for float64 logits), as transformers does: logits at each place against the label of the next.</summary>
    /// <param name="logits">Shape <c>[batch, length, vocabulary]</c>.</param>
    /// <param name="labels">int64, shape <c>[batch, length]</c>, −100 where nothing is learned.</param>
    /// <param name="learnedTokens">What the sum is divided by; null for the number of labels, which gives the mean.</param>
    /// <returns>
    /// A scalar. Where no place has a label, the sum is 0 with a gradient of 0, and the mean of nothing is NaN, as in PyTorch.
    /// </returns>
    /// <exception cref="ArgumentException">The shapes do not go together.</exception>
    public static Tensor Compute(Tensor logits, Tensor labels, double? learnedTokens = null)
    {
        ArgumentNullException.ThrowIfNull(logits);
        ArgumentNullException.ThrowIfNull(labels);
        if (logits.dim() != 3 || !labels.shape.AsSpan().SequenceEqual(logits.shape.AsSpan(0, 2)) || labels.dtype != ScalarType.Int64)
        {
            throw new ArgumentException(
                $"Logits of the shape [batch, length, vocabulary] and int64 labels of the shape [batch, length] were expected, but logits are {Text(logits)} and labels {Text(labels)}.");
        }
        using var scope = NewDisposeScope();
        Tensor next = NextLabels(labels);
        Tensor scores = logits.reshape(-1, logits.shape[2]);
        if (scores.dtype != ScalarType.Float64) scores = scores.to(ScalarType.Float32);
        Tensor loss = learnedTokens is double count
            ? nn.functional.cross_entropy(scores, next, ignore_index: TrainingExample.IgnoredLabel, reduction: nn.Reduction.Sum).div(count)
            : nn.functional.cross_entropy(scores, next, ignore_index: TrainingExample.IgnoredLabel);
        return loss.MoveToOuterDisposeScope();
    }

    /// <summary>For each place, row by row, the label of the next: the labels are shifted and not the logits, of which that would make a copy.</summary>
    internal static Tensor NextLabels(Tensor labels)
    {
        Tensor none = full([labels.shape[0], 1], TrainingExample.IgnoredLabel, dtype: ScalarType.Int64, device: labels.device);
        return cat([labels.narrow(1, 1, labels.shape[1] - 1), none], 1).view(-1);
    }

    private static string Text(Tensor tensor) => $"{tensor.dtype} [{string.Join(", ", tensor.shape)}]";
}
