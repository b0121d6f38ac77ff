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
}
