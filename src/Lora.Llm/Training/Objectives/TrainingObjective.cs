namespace Lora.Llm;

/// <summary>
/// What a training makes small: the loss of a batch of examples. <see cref="CausalObjective"/> learns texts, <see cref="PreferenceObjective"/> preferences; derive from it for a loss of your own.
/// </summary>
/// <remarks>
/// Losses are additive: <see cref="Compute"/> gives the sum over a batch divided by a weight that the trainer says, which is the weight of all batches of a step together. So it does not matter how a
/// step is cut into batches. Everything that <see cref="Compute"/> draws at random must come from torch's global numbers, which the trainer seeds for each step.
/// </remarks>
/// <typeparam name="TExample">What one example is.</typeparam>
public abstract class TrainingObjective<TExample>
{
    /// <summary>Its name in checkpoints and errors.</summary>
    public abstract string Name { get; }

    /// <summary>Settings that a checkpoint must agree with, by name; none by default.</summary>
    public virtual IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>();

    /// <summary>The token sequences of one example: they are checked against the vocabulary, and checkpoints are made for them alone.</summary>
    /// <param name="example">The example.</param>
    public abstract IReadOnlyList<TrainingExample> TextsOf(TExample example);

    /// <summary>How much one example counts in the mean, such as its number of learned tokens; 0 where nothing of it is learned.</summary>
    /// <param name="example">The example.</param>
    public abstract double WeightOf(TExample example);

    /// <summary>The length by which examples are grouped: that of the longest of <see cref="TextsOf"/>.</summary>
    /// <param name="example">The example.</param>
    public virtual int LengthOf(TExample example) => TextsOf(example).Max(text => text.InputIds.Count);

    /// <summary>Whether several examples can share a row (<see cref="TrainingOptions.PackedLength"/>); false by default.</summary>
    public virtual bool CanPack => false;

    /// <summary>Puts several examples into one row; not defined by default.</summary>
    /// <param name="examples">The examples.</param>
    /// <exception cref="NotSupportedException">Examples of this objective cannot share a row.</exception>
    public virtual TExample Pack(IReadOnlyList<TExample> examples) =>
        throw new NotSupportedException($"Examples of the objective '{Name}' cannot share a row: leave {nameof(TrainingOptions.PackedLength)} out.");

    /// <summary>Finds out once what it needs to know about the examples; nothing by default. The model is in evaluation mode, and gradients are off.</summary>
    /// <param name="context">The model.</param>
    /// <param name="examples">All examples of a data set.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public virtual void Prepare(ObjectiveContext context, IReadOnlyList<TExample> examples, CancellationToken cancellationToken)
    {
    }

    /// <summary>Computes the loss of a batch.</summary>
    /// <param name="context">The model.</param>
    /// <param name="batch">At least one example.</param>
    /// <param name="weight">What the sum of the losses, each times its weight, is divided by.</param>
    /// <returns>The loss, a scalar in the current dispose scope, and what else is worth knowing.</returns>
    public abstract ObjectiveValue Compute(ObjectiveContext context, IReadOnlyList<TExample> batch, double weight);
}
