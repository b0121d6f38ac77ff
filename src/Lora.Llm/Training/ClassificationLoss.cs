using Lora.Llm.Training.Chunked;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>The losses of classifiers, as transformers computes them: in float32, or float64 for float64 logits.</summary>
public static class ClassificationLoss
{
    /// <summary>
    /// Computes the loss of whole texts or images. Where the problem is null, one column of logits means <see cref="ProblemType.Regression"/>, integer labels mean
    /// <see cref="ProblemType.SingleLabel"/> and others <see cref="ProblemType.MultiLabel"/>.
    /// </summary>
    /// <param name="logits">Shape <c>[batch, labels]</c>.</param>
    /// <param name="labels">
    /// For one class of several int64 <c>[batch]</c>, −100 where nothing is learned; for several at once numbers from 0 to 1 <c>[batch, labels]</c>; for regression
    /// numbers <c>[batch, labels]</c>, or <c>[batch]</c> where there is one column of logits.
    /// </param>
    /// <param name="problem">What the labels mean, such as <see cref="SequenceClassifier.ProblemType"/>.</param>
    /// <returns>A scalar: the mean over the batch, and over the labels where there are several each.</returns>
    /// <exception cref="ArgumentException">The shapes or the types do not go together, or a label is no class.</exception>
    public static Tensor Compute(Tensor logits, Tensor labels, ProblemType? problem = null)
    {
        ArgumentNullException.ThrowIfNull(logits);
        ArgumentNullException.ThrowIfNull(labels);
        if (logits.dim() != 2) throw new ArgumentException($"Logits of the shape [batch, labels] were expected, but are {Text(logits)}.");
        long batch = logits.shape[0], count = logits.shape[1];
        ProblemType kind = problem ?? (count == 1 ? ProblemType.Regression : labels.dtype == ScalarType.Int64 ? ProblemType.SingleLabel : ProblemType.MultiLabel);
        bool fits = kind switch
        {
            ProblemType.SingleLabel => labels.dtype == ScalarType.Int64 && labels.shape is [long rows] && rows == batch,
            ProblemType.Regression when count == 1 => labels.shape is [long rows] && rows == batch || labels.shape is [long lines, 1] && lines == batch,
            _ => labels.shape is [long rows, long columns] && rows == batch && columns == count,
        };
        if (!fits)
        {
            string wanted = kind == ProblemType.SingleLabel ? $"int64 [{batch}]" : kind == ProblemType.Regression && count == 1 ? $"numbers [{batch}]" : $"numbers [{batch}, {count}]";
            throw new ArgumentException($"The labels of {kind} for logits [{batch}, {count}] must be {wanted}, but are {Text(labels)}.");
        }
        if (kind == ProblemType.SingleLabel) LearnedLabels.ThrowIfUnknown(labels, count, "classes");
        using var scope = NewDisposeScope();
        Tensor scores = Precise(logits);
        Tensor loss = kind switch
        {
            ProblemType.SingleLabel => nn.functional.cross_entropy(scores, labels, ignore_index: TrainingExample.IgnoredLabel),
            ProblemType.MultiLabel => nn.functional.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype)),
            _ => nn.functional.mse_loss(scores, labels.to(scores.dtype).reshape(scores.shape)),
        };
        return loss.MoveToOuterDisposeScope();
    }

    /// <summary>Computes the mean cross-entropy of the tokens that have a label, each at its own place: the loss of token classification and of masked language models.</summary>
    /// <param name="logits">Shape <c>[batch, length, labels]</c>, or <c>[batch, length, vocabulary]</c>.</param>
    /// <param name="labels">int64, shape <c>[batch, length]</c>, −100 where nothing is learned.</param>
    /// <returns>A scalar; NaN where no token has a label, as in PyTorch.</returns>
    /// <exception cref="ArgumentException">The shapes do not go together, or a label is no class.</exception>
    public static Tensor OfTokens(Tensor logits, Tensor labels)
    {
        ArgumentNullException.ThrowIfNull(logits);
        ArgumentNullException.ThrowIfNull(labels);
        if (logits.dim() != 3 || !labels.shape.AsSpan().SequenceEqual(logits.shape.AsSpan(0, 2)) || labels.dtype != ScalarType.Int64)
        {
            throw new ArgumentException(
                $"Logits of the shape [batch, length, labels] and int64 labels of the shape [batch, length] were expected, but logits are {Text(logits)} and labels {Text(labels)}.");
        }
        LearnedLabels.ThrowIfUnknown(labels, logits.shape[2], "classes");
        using var scope = NewDisposeScope();
        Tensor scores = Precise(logits.reshape(-1, logits.shape[2]));
        return nn.functional.cross_entropy(scores, labels.reshape(-1), ignore_index: TrainingExample.IgnoredLabel).MoveToOuterDisposeScope();
    }

    private static Tensor Precise(Tensor logits) => logits.dtype == ScalarType.Float64 ? logits.alias() : logits.to(ScalarType.Float32);

    private static string Text(Tensor tensor) => $"{tensor.dtype} [{string.Join(", ", tensor.shape)}]";
}
