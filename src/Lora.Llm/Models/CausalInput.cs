using Lora.Llm.Training.Chunked;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>What a language model is called with. A tensor of token ids converts by itself: <c>model.call(ids)</c>.</summary>
/// <param name="InputIds">Token ids, int64, shape <c>[batch, length]</c>.</param>
public sealed record CausalInput(Tensor InputIds) : ITokenInput
{
    /// <summary>1 where there is a token and 0 where there is padding, shape <c>[batch, cached + length]</c>; null when there is no padding.</summary>
    public Tensor? AttentionMask { get; init; }

    /// <summary>The position of each token, int64, shape <c>[batch, length]</c> or <c>[1, length]</c>; null to count on from the cache's length.</summary>
    public Tensor? PositionIds { get; init; }

    /// <summary>
    /// Which text each token belongs to, any int64, shape <c>[batch, length]</c>: tokens of one row with different numbers do not see each other. Null when every row is one text.
    /// It goes with <see cref="PositionIds"/> that restart in every text, and without a cache.
    /// </summary>
    public Tensor? SequenceIds { get; init; }

    /// <summary>Keys and values of the tokens before; they are extended by these. Null to keep none. No gradient flows through it.</summary>
    public KeyValueCache? Cache { get; init; }

    /// <summary>The number of last positions to compute logits for; 0 for all. Generation needs the last one alone, and logits are large.</summary>
    /// <value>0 by default.</value>
    public int LogitsToKeep { get; init; }

    long ITokenInput.PastLength => Cache?.Length ?? 0;

    object? ITokenInput.History => Cache;

    /// <summary>What is to be learned: the model then gives the loss in the place of logits. See <see cref="CausalLanguageModel.Loss"/>.</summary>
    internal LearnedLabels? Learned { get; init; }

    /// <summary>Calls with token ids alone.</summary>
    /// <param name="inputIds">Token ids, int64, shape <c>[batch, length]</c>.</param>
    public static implicit operator CausalInput(Tensor inputIds) => FromTensor(inputIds);

    /// <summary>Calls with token ids alone.</summary>
    /// <param name="inputIds">Token ids, int64, shape <c>[batch, length]</c>.</param>
    /// <returns>The input.</returns>
    public static CausalInput FromTensor(Tensor inputIds) => new(inputIds);

    /// <exception cref="ArgumentException">A tensor has another shape or type than it should. Further down some mistakes would broadcast without a word.</exception>
    internal void ThrowIfWrong()
    {
        ArgumentNullException.ThrowIfNull(InputIds);
        ArgumentOutOfRangeException.ThrowIfNegative(LogitsToKeep);
        long[] shape = InputIds.shape;
        if (shape is not [_, > 0] || InputIds.dtype != ScalarType.Int64)
            throw new ArgumentException($"InputIds must be int64 of the shape [batch, length] with at least one token, but is {Text(InputIds)}.");
        long past = Cache?.Length ?? 0;
        if (AttentionMask is not null && !AttentionMask.shape.AsSpan().SequenceEqual([shape[0], past + shape[1]]))
            throw new ArgumentException($"AttentionMask must have the shape [{shape[0]}, {past + shape[1]}], which is [batch, cached + length], but is {Text(AttentionMask)}.");
        if (PositionIds is not null && (PositionIds.dtype != ScalarType.Int64 || PositionIds.dim() != 2 || PositionIds.shape[1] != shape[1] || (PositionIds.shape[0] != 1 && PositionIds.shape[0] != shape[0])))
            throw new ArgumentException($"PositionIds must be int64 of the shape [{shape[0]}, {shape[1]}] or [1, {shape[1]}], but is {Text(PositionIds)}.");
        if (SequenceIds is null) return;
        if (SequenceIds.dtype != ScalarType.Int64 || !SequenceIds.shape.AsSpan().SequenceEqual(shape))
            throw new ArgumentException($"SequenceIds must be int64 of the shape [{shape[0]}, {shape[1]}], but is {Text(SequenceIds)}.");
        if (Cache is not null) throw new ArgumentException("SequenceIds cannot go with a Cache, which does not know the texts of the tokens before.");
    }

    private static string Text(Tensor tensor) => $"{tensor.dtype} [{string.Join(", ", tensor.shape)}]";
}
