using Lora.Llm.Training.Chunked;
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

    /// <summary>The number of positions the model was made for. Of longer texts a model with learned positions says so; one with rotary positions computes them, as a rule badly.</summary>
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

    /// <summary>The number of positions that have a place of their own, behind which there is none; null where positions are turned and go on.</summary>
    internal virtual int? LearnedPositions => null;

    /// <summary>Which blocks keep their inputs alone between forward and backward and run once more in backward. It counts where gradients are computed, and without a cache.</summary>
    /// <value><see cref="GradientCheckpointing.None"/> by default.</value>
    /// <exception cref="ArgumentNullException">It is set to null.</exception>
    public abstract GradientCheckpointing GradientCheckpointing { get; set; }

    /// <summary>The output head, where it can take rows apart; null where all logits are to be computed at once.</summary>
    private protected virtual ChunkHead? HeadInChunks => null;

    /// <summary>
    /// Computes the mean cross-entropy of each token given those before it, as <see cref="CausalLoss.Compute"/> does of the logits, but without all of them in memory: the head works on some
    /// rows after the other, on those with a label alone, as in <see cref="LinearCrossEntropy"/>.
    /// </summary>
    /// <remarks>
    /// All logits are computed after all where hooks see them (which is how an adapter of a tied weight works on the head), or where the head's adapters differ from sample to sample. Hooks of the model itself that see no tensors do not count.
    /// </remarks>
    /// <param name="input">Token ids, shape <c>[batch, length]</c>, and what goes with them, but for <see cref="CausalInput.LogitsToKeep"/>.</param>
    /// <param name="labels">int64, shape <c>[batch, length]</c>, −100 where nothing is learned. They are shifted here: the logits at each place meet the label of the next.</param>
    /// <param name="learnedTokens">What the sum is divided by; null for the number of labels, which gives the mean.</param>
    /// <returns>A scalar in float32, or in float64 for float64 weights. Where no place has a label, the sum is 0 with a gradient of 0, and the mean of nothing is NaN, as in PyTorch.</returns>
    /// <exception cref="ArgumentException">A tensor has another shape or type than it should, or a label is no token of the vocabulary.</exception>
    public Tensor Loss(CausalInput input, Tensor labels, double? learnedTokens = null)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(labels);
        input.ThrowIfWrong();
        if (input.LogitsToKeep != 0) throw new ArgumentException($"The loss is of all positions, so {nameof(CausalInput.LogitsToKeep)} must be 0, but is {input.LogitsToKeep}.", nameof(input));
        if (!labels.shape.AsSpan().SequenceEqual(input.InputIds.shape) || labels.dtype != ScalarType.Int64)
            throw new ArgumentException($"Labels must be int64 of the shape of InputIds, [{string.Join(", ", input.InputIds.shape)}], but are {LinearCrossEntropy.Text(labels)}.", nameof(labels));
        if (HeadInChunks is not null && post_hooks.Count == 0) return call(input with { Learned = new LearnedLabels(labels, learnedTokens) });
        using Tensor logits = call(input);
        LearnedLabels.ThrowIfUnknown(labels, logits.shape[2]);
        return CausalLoss.Compute(logits, labels, learnedTokens);
    }

    /// <summary>Makes an empty cache for this model.</summary>
    /// <param name="capacity">The largest number of positions that it will hold.</param>
    /// <returns>The cache, which the caller disposes.</returns>
    public abstract KeyValueCache NewCache(int capacity);
}
