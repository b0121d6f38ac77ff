using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>A model that classifies images: pixel values <c>[batch, channels, height, width]</c> in, logits <c>[batch, labels]</c> out.</summary>
public abstract class ImageClassifier : nn.Module<Tensor, Tensor>, IHasModelFamily
{
    /// <summary>Creates a model.</summary>
    /// <param name="name">The name of the module's kind.</param>
    private protected ImageClassifier(string name)
        : base(name)
    {
    }

    /// <summary>The names of the classes, in the order of the logits.</summary>
    public abstract IReadOnlyList<string> Labels { get; }

    /// <summary>What the labels mean; null where the configuration leaves it to their number and type, see <see cref="ClassificationLoss"/>.</summary>
    public abstract ProblemType? ProblemType { get; }

    /// <inheritdoc/>
    public abstract string? ModelFamily { get; }
}
