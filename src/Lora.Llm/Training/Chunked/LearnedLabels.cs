using static TorchSharp.torch;

namespace Lora.Llm.Training.Chunked;

/// <summary>What a model is asked to learn instead of giving logits.</summary>
/// <param name="Labels">int64, shape <c>[batch, length]</c>, −100 where nothing is learned.</param>
/// <param name="Count">What the sum is divided by; null for the number of labels.</param>
internal sealed record LearnedLabels(Tensor Labels, double? Count)
{
    /// <summary>The loss of the hidden states of all places, each against the label of the next.</summary>
    /// <param name="hidden">Shape <c>[batch, length, in]</c>.</param>
    /// <param name="head">The head.</param>
    /// <param name="softCap">The cap of the logits; null for none.</param>
    internal Tensor Loss(Tensor hidden, ChunkHead head, double? softCap)
    {
        using var scope = NewDisposeScope();
        return LossPass.Run(hidden.reshape(-1, hidden.shape[2]), head, CausalLoss.NextLabels(Labels), softCap, Count).MoveToOuterDisposeScope();
    }

    /// <summary>Refuses a label that is no token, or no class: on a GPU it would end the process.</summary>
    internal static void ThrowIfUnknown(Tensor labels, long vocabulary, string what = "tokens")
    {
        using var scope = NewDisposeScope();
        Tensor learned = labels.masked_select(labels.ne(TrainingExample.IgnoredLabel));
        if (learned.shape[0] == 0) return;
        long least = learned.min().item<long>(), largest = learned.max().item<long>();
        if (least < 0 || largest >= vocabulary)
            throw new ArgumentException($"Labels must be {what} from 0 to {vocabulary - 1} or {TrainingExample.IgnoredLabel}, but there is {(least < 0 ? least : largest)}.");
    }
}
