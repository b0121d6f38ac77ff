using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>A model that predicts the tokens of a text that were masked, from those on both sides: token ids in, logits <c>[batch, length, vocabulary]</c> out.</summary>
public abstract class MaskedLanguageModel : nn.Module<TextInput, Tensor>, IHasOutputHead, IHasTokenEmbedding, IHasModelFamily
{
    /// <summary>Creates a model.</summary>
    /// <param name="name">The name of the module's kind.</param>
    private protected MaskedLanguageModel(string name)
        : base(name)
    {
    }

    /// <summary>The number of entries of the vocabulary.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The number of tokens of the longest text that the model was made for.</summary>
    public abstract int MaxPositions { get; }

    /// <inheritdoc/>
    public abstract nn.Module? OutputHead { get; }

    /// <inheritdoc/>
    public abstract nn.Module? TokenEmbedding { get; }

    /// <inheritdoc/>
    public abstract nn.Module? TiedHead { get; }

    /// <inheritdoc/>
    public abstract string? ModelFamily { get; }
}
