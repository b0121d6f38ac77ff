namespace Lora.Llm;

/// <summary>The objective of language models: the mean cross-entropy of each learned token given those before it (<see cref="CausalLanguageModel.Loss"/>).</summary>
public sealed class CausalObjective : TrainingObjective<TrainingExample>
{
    /// <inheritdoc/>
    public override string Name => "causal";

    /// <inheritdoc/>
    public override bool CanPack => true;

    /// <inheritdoc/>
    public override IReadOnlyList<TrainingExample> TextsOf(TrainingExample example) => [example];

    /// <inheritdoc/>
    public override double WeightOf(TrainingExample example)
    {
        ArgumentNullException.ThrowIfNull(example);
        return example.LearnedTokens;
    }

    /// <inheritdoc/>
    public override TrainingExample Pack(IReadOnlyList<TrainingExample> examples) => TrainingExample.Pack(examples);

    /// <inheritdoc/>
    public override ObjectiveValue Compute(ObjectiveContext context, IReadOnlyList<TrainingExample> batch, double weight)
    {
        ArgumentNullException.ThrowIfNull(context);
        using TrainingBatch tensors = context.Collate(batch);
        return new ObjectiveValue(context.Model.Loss(tensors.ToInput(), tensors.Labels, weight), tensors.Tokens);
    }
}
