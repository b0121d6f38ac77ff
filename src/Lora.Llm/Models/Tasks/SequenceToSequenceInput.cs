using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>What a model that turns one text into another is called with.</summary>
/// <param name="InputIds">Token ids of the text that is read, int64, shape <c>[batch, length]</c>.</param>
/// <param name="DecoderInputIds">Token ids of the text that is written, behind the start token: int64, shape <c>[batch, targetLength]</c>.</param>
public sealed record SequenceToSequenceInput(Tensor InputIds, Tensor DecoderInputIds)
{
    /// <summary>1 where the text that is read has a token and 0 where it has padding, shape <c>[batch, length]</c>; null when there is no padding.</summary>
    public Tensor? AttentionMask { get; init; }

    /// <summary>1 where the text that is written has a token and 0 where it has padding, shape <c>[batch, targetLength]</c>; null when there is no padding.</summary>
    public Tensor? DecoderAttentionMask { get; init; }
}
