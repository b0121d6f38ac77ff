using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>What a model that reads whole texts is called with. A tensor of token ids converts by itself: <c>model.call(ids)</c>.</summary>
/// <param name="InputIds">Token ids, int64, shape <c>[batch, length]</c>.</param>
public sealed record TextInput(Tensor InputIds)
{
    /// <summary>1 where there is a token and 0 where there is padding, shape <c>[batch, length]</c>; null when there is no padding.</summary>
    public Tensor? AttentionMask { get; init; }

    /// <summary>Which part of the text each token belongs to, such as 0 for a question and 1 for its answer: int64, shape <c>[batch, length]</c>; null for 0 everywhere.</summary>
    public Tensor? TokenTypeIds { get; init; }

    /// <summary>The position of each token, int64, shape <c>[batch, length]</c> or <c>[1, length]</c>; null for those that the model's family counts by itself.</summary>
    public Tensor? PositionIds { get; init; }

    /// <summary>Calls with token ids alone.</summary>
    /// <param name="inputIds">Token ids, int64, shape <c>[batch, length]</c>.</param>
    public static implicit operator TextInput(Tensor inputIds) => FromTensor(inputIds);

    /// <summary>Calls with token ids alone.</summary>
    /// <param name="inputIds">Token ids, int64, shape <c>[batch, length]</c>.</param>
    /// <returns>The input.</returns>
    public static TextInput FromTensor(Tensor inputIds) => new(inputIds);

    /// <exception cref="ArgumentException">A tensor has another shape or type than it should. Further down some mistakes would broadcast without a word.</exception>
    internal void ThrowIfWrong()
    {
        ArgumentNullException.ThrowIfNull(InputIds);
        long[] shape = InputIds.shape;
        if (shape is not [_, > 0] || InputIds.dtype != ScalarType.Int64)
            throw new ArgumentException($"InputIds must be int64 of the shape [batch, length] with at least one token, but is {Text(InputIds)}.");
        if (AttentionMask is not null && !AttentionMask.shape.AsSpan().SequenceEqual(shape))
            throw new ArgumentException($"AttentionMask must have the shape [{shape[0]}, {shape[1]}], but is {Text(AttentionMask)}.");
        if (TokenTypeIds is not null && (TokenTypeIds.dtype != ScalarType.Int64 || !TokenTypeIds.shape.AsSpan().SequenceEqual(shape)))
            throw new ArgumentException($"TokenTypeIds must be int64 of the shape [{shape[0]}, {shape[1]}], but is {Text(TokenTypeIds)}.");
        if (PositionIds is not null && (PositionIds.dtype != ScalarType.Int64 || PositionIds.dim() != 2 || PositionIds.shape[1] != shape[1] || (PositionIds.shape[0] != 1 && PositionIds.shape[0] != shape[0])))
            throw new ArgumentException($"PositionIds must be int64 of the shape [{shape[0]}, {shape[1]}] or [1, {shape[1]}], but is {Text(PositionIds)}.");
    }

    private static string Text(Tensor tensor) => $"{tensor.dtype} [{string.Join(", ", tensor.shape)}]";
}
