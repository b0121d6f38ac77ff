using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>A model that classifies whole texts: token ids in, logits <c>[batch, labels]</c> out.</summary>
public abstract class SequenceClassifier : nn.Module<TextInput, Tensor>, IHasTokenEmbedding, IHasModelFamily
{
    /// <summary>Creates a model.</summary>
    /// <param name="name">The name of the module's kind.</param>
    private protected SequenceClassifier(string name)
        : base(name)
    {
    }

    /// <summary>The names of the classes, in the order of the logits.</summary>
    public abstract IReadOnlyList<string> Labels { get; }

    /// <summary>What the labels mean; null where the configuration leaves it to their number and type, see <see cref="ClassificationLoss"/>.</summary>
    public abstract ProblemType? ProblemType { get; }

    /// <summary>The number of entries of the vocabulary.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The number of tokens of the longest text that the model was made for.</summary>
    public abstract int MaxPositions { get; }

    /// <inheritdoc/>
    public abstract nn.Module? TokenEmbedding { get; }

    /// <inheritdoc/>
    public virtual nn.Module? TiedHead => null;

    /// <inheritdoc/>
    public abstract string? ModelFamily { get; }
}
