using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>A model that turns one text into another: both texts' token ids in, logits <c>[batch, targetLength, vocabulary]</c> of the written one out.</summary>
public abstract class SequenceToSequenceModel : nn.Module<SequenceToSequenceInput, Tensor>, IHasOutputHead, IHasTokenEmbedding, IHasModelFamily
{
    /// <summary>Creates a model.</summary>
    /// <param name="name">The name of the module's kind.</param>
    private protected SequenceToSequenceModel(string name)
        : base(name)
    {
    }

    /// <summary>The number of entries of the vocabulary.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The token that the written text starts behind (<c>decoder_start_token_id</c>).</summary>
    public abstract int DecoderStartTokenId { get; }

    /// <summary>The token that fills up short texts (<c>pad_token_id</c>).</summary>
    public abstract int PadTokenId { get; }

    /// <summary>The tokens that end a text; may be empty.</summary>
    public abstract IReadOnlyList<int> EndTokenIds { get; }

    /// <inheritdoc/>
    public abstract nn.Module? OutputHead { get; }

    /// <inheritdoc/>
    public abstract nn.Module? TokenEmbedding { get; }

    /// <inheritdoc/>
    public abstract nn.Module? TiedHead { get; }

    /// <inheritdoc/>
    public abstract string? ModelFamily { get; }

    /// <summary>Reads texts. Several calls may share the result by <see cref="SequenceToSequenceInput.EncoderOutput"/>.</summary>
    /// <param name="inputIds">Token ids, int64, shape <c>[batch, length]</c>.</param>
    /// <param name="attentionMask">1 where there is a token and 0 where there is padding, on either side, shape <c>[batch, length]</c>; null when there is no padding.</param>
    /// <returns>The encoder's last hidden states, shape <c>[batch, length, width]</c>.</returns>
    /// <exception cref="ArgumentException">A tensor has another shape or type than it should.</exception>
    public abstract Tensor Encode(Tensor inputIds, Tensor? attentionMask = null);

    /// <summary>Makes an empty cache for this model.</summary>
    /// <param name="capacity">The largest number of written positions that it will hold.</param>
    /// <returns>The cache, which the caller disposes.</returns>
    public abstract SequenceToSequenceCache NewCache(int capacity);

    /// <summary>
    /// Makes the decoder's input from labels, as training does: <see cref="DecoderStartTokenId"/>, then the labels without the last, −100 as <see cref="PadTokenId"/>.
    /// The loss compares the logits with the labels themselves: <see cref="ClassificationLoss.OfTokens"/>.
    /// </summary>
    /// <param name="labels">Token ids, int64, shape <c>[batch, targetLength]</c>, −100 where nothing is learned.</param>
    /// <returns>Token ids, int64, shape <c>[batch, targetLength]</c>.</returns>
    /// <exception cref="ArgumentException">The labels have another shape or type.</exception>
    public Tensor ShiftRight(Tensor labels)
    {
        ArgumentNullException.ThrowIfNull(labels);
        if (labels.shape is not [_, > 0] || labels.dtype != ScalarType.Int64)
            throw new ArgumentException($"Labels must be int64 of the shape [batch, targetLength] with at least one token, but are {labels.dtype} [{string.Join(", ", labels.shape)}].", nameof(labels));
        using var scope = NewDisposeScope();
        using Scalar ignored = TrainingExample.IgnoredLabel, pad = PadTokenId;
        Tensor start = full([labels.shape[0], 1], DecoderStartTokenId, dtype: ScalarType.Int64, device: labels.device);
        Tensor before = labels.narrow(1, 0, labels.shape[1] - 1);
        return cat([start, before.masked_fill(before.eq(ignored), pad)], 1).MoveToOuterDisposeScope();
    }
}
