using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>Several examples as tensors, padded on the right to the longest. It owns its tensors.</summary>
public sealed class TrainingBatch : IDisposable
{
    private TrainingBatch(Tensor inputIds, Tensor labels, Tensor? attentionMask, Tensor? sequenceIds, Tensor? positionIds, int tokens, int learnedTokens)
    {
        InputIds = inputIds.DetachFromDisposeScope();
        Labels = labels.DetachFromDisposeScope();
        AttentionMask = attentionMask?.DetachFromDisposeScope();
        SequenceIds = sequenceIds?.DetachFromDisposeScope();
        PositionIds = positionIds?.DetachFromDisposeScope();
        Tokens = tokens;
        LearnedTokens = learnedTokens;
    }

    /// <summary>Token ids, int64, shape <c>[batch, length]</c>.</summary>
    public Tensor InputIds { get; }

    /// <summary>Labels, int64, the same shape, −100 where nothing is learned.</summary>
    public Tensor Labels { get; }

    /// <summary>1 for tokens and 0 for padding, int64, the same shape; null when all examples are equally long.</summary>
    public Tensor? AttentionMask { get; }

    /// <summary>Which of the texts packed into its row a token belongs to, int64, the same shape; null when every row is one text.</summary>
    public Tensor? SequenceIds { get; }

    /// <summary>The position of each token in its text, int64, the same shape; null when every row is one text.</summary>
    public Tensor? PositionIds { get; }

    /// <summary>The number of tokens without padding.</summary>
    public int Tokens { get; }

    /// <summary>The number of tokens that the loss counts.</summary>
    public int LearnedTokens { get; }

    /// <summary>Puts examples together.</summary>
    /// <param name="examples">At least one example.</param>
    /// <param name="padTokenId">What fills the shorter ones.</param>
    /// <param name="device">Where the tensors are made; the CPU when null.</param>
    /// <returns>The batch, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">There is no example, or one has no token, a token below 0, not as many labels as tokens, or texts that begin where none can.</exception>
    public static TrainingBatch Collate(IReadOnlyList<TrainingExample> examples, int padTokenId, Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(examples);
        if (examples.Count == 0) throw new ArgumentException("There is no example to make a batch of.", nameof(examples));
        if (examples.Select(example => example.Problem).FirstOrDefault(problem => problem is not null) is string wrong) throw new ArgumentException($"An example {wrong}.", nameof(examples));
        int length = examples.Max(example => example.InputIds.Count), count = examples.Count;
        var ids = new long[count * length];
        var labels = new long[count * length];
        var mask = new long[count * length];
        var sequences = new long[count * length];
        var positions = new long[count * length];
        Array.Fill(ids, padTokenId);
        Array.Fill(labels, TrainingExample.IgnoredLabel);
        for (int row = 0; row < count; row++)
        {
            IReadOnlyList<int> starts = examples[row].Starts;
            for (int i = 0, text = 0; i < length; i++)
            {
                if (text + 1 < starts.Count && i >= starts[text + 1]) text++;
                sequences[row * length + i] = text;
                positions[row * length + i] = i - starts[text];
                if (i >= examples[row].InputIds.Count) continue;
                ids[row * length + i] = examples[row].InputIds[i];
                labels[row * length + i] = examples[row].Labels[i];
                mask[row * length + i] = 1;
            }
        }
        using var scope = NewDisposeScope();
        bool padded = examples.Any(example => example.InputIds.Count != length), packed = examples.Any(example => example.Starts.Count > 1);
        return new TrainingBatch(
            Of(ids), Of(labels), padded ? Of(mask) : null, packed ? Of(sequences) : null, packed ? Of(positions) : null,
            examples.Sum(example => example.InputIds.Count), examples.Sum(example => example.LearnedTokens));

        Tensor Of(long[] values) => tensor(values, [count, length], dtype: ScalarType.Int64, device: device);
    }

    /// <summary>What to call the model with.</summary>
    /// <returns>The batch's own tensors, as long as it lives.</returns>
    public CausalInput ToInput() => new(InputIds) { AttentionMask = AttentionMask, SequenceIds = SequenceIds, PositionIds = PositionIds };

    /// <summary>Releases the tensors.</summary>
    public void Dispose()
    {
        InputIds.Dispose();
        Labels.Dispose();
        AttentionMask?.Dispose();
        SequenceIds?.Dispose();
        PositionIds?.Dispose();
    }
}
