using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>What a model that turns one text into another is called with.</summary>
/// <param name="InputIds">Token ids of the text that is read, int64, shape <c>[batch, length]</c>.</param>
/// <param name="DecoderInputIds">Token ids of the text that is written, behind the start token: int64, shape <c>[batch, targetLength]</c>.</param>
public sealed record SequenceToSequenceInput(Tensor InputIds, Tensor DecoderInputIds)
{
    /// <summary>1 where the text that is read has a token and 0 where it has padding, shape <c>[batch, length]</c>; null when there is no padding.</summary>
    public Tensor? AttentionMask { get; init; }

    /// <summary>1 where the text that is written has a token and 0 where it has padding, shape <c>[batch, cached + targetLength]</c>; null when there is no padding.</summary>
    public Tensor? DecoderAttentionMask { get; init; }

    /// <summary>What <see cref="SequenceToSequenceModel.Encode"/> gave for the text that is read; null to compute it.</summary>
    public Tensor? EncoderOutput { get; init; }

    /// <summary>Keys and values of the written tokens before and of the text that is read; they are extended by these. Null to keep none. No gradient flows through it.</summary>
    public SequenceToSequenceCache? Cache { get; init; }

    /// <summary>The number of last positions to compute logits for; 0 for all. Generation needs the last one alone, and logits are large.</summary>
    /// <value>0 by default.</value>
    public int LogitsToKeep { get; init; }

    /// <exception cref="ArgumentException">A tensor has another shape or type than it should. Further down some mistakes would broadcast without a word.</exception>
    internal void ThrowIfWrong(long width)
    {
        ThrowIfWrong(InputIds, AttentionMask);
        ArgumentNullException.ThrowIfNull(DecoderInputIds);
        ArgumentOutOfRangeException.ThrowIfNegative(LogitsToKeep);
        long[] source = InputIds.shape, target = DecoderInputIds.shape;
        if (target is not [_, > 0] || target[0] != source[0] || DecoderInputIds.dtype != ScalarType.Int64)
            throw new ArgumentException($"DecoderInputIds must be int64 of the shape [{source[0]}, targetLength] with at least one token, but is {Text(DecoderInputIds)}.");
        long past = Cache?.Length ?? 0;
        if (DecoderAttentionMask is not null && !DecoderAttentionMask.shape.AsSpan().SequenceEqual([target[0], past + target[1]]))
            throw new ArgumentException($"DecoderAttentionMask must have the shape [{target[0]}, {past + target[1]}], which is [batch, cached + targetLength], but is {Text(DecoderAttentionMask)}.");
        if (EncoderOutput is not null && !EncoderOutput.shape.AsSpan().SequenceEqual([source[0], source[1], width]))
            throw new ArgumentException($"EncoderOutput must have the shape [{source[0]}, {source[1]}, {width}], but is {Text(EncoderOutput)}.");
    }

    /// <exception cref="ArgumentException">The text that is read has another shape or type than it should.</exception>
    internal static void ThrowIfWrong(Tensor inputIds, Tensor? attentionMask)
    {
        ArgumentNullException.ThrowIfNull(inputIds);
        if (inputIds.shape is not [_, > 0] || inputIds.dtype != ScalarType.Int64)
            throw new ArgumentException($"InputIds must be int64 of the shape [batch, length] with at least one token, but is {Text(inputIds)}.");
        if (attentionMask is not null && !attentionMask.shape.AsSpan().SequenceEqual(inputIds.shape))
            throw new ArgumentException($"AttentionMask must have the shape [{string.Join(", ", inputIds.shape)}], but is {Text(attentionMask)}.");
    }

    private static string Text(Tensor tensor) => $"{tensor.dtype} [{string.Join(", ", tensor.shape)}]";
}
