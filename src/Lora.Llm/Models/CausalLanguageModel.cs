using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>A model that predicts each token from those before it: token ids in, logits <c>[batch, length, vocabulary]</c> out.</summary>
public abstract class CausalLanguageModel : nn.Module<CausalInput, Tensor>, IHasOutputHead, IHasTokenEmbedding, IHasModelFamily
{
    /// <summary>Creates a model.</summary>
    /// <param name="name">The name of the module's kind.</param>
    private protected CausalLanguageModel(string name)
        : base(name)
    {
    }

    /// <summary>The number of entries of the vocabulary.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The number of positions the model was made for.</summary>
    public abstract int MaxPositions { get; }

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

    /// <summary>The largest number of positions that a cache can be filled up to, where longer texts have to be computed anew; null for none.</summary>
    internal virtual long? UsualPositions => null;

    /// <summary>Makes an empty cache for this model.</summary>
    /// <param name="capacity">The largest number of positions that it will hold.</param>
    /// <returns>The cache, which the caller disposes.</returns>
    public abstract KeyValueCache NewCache(int capacity);
}
