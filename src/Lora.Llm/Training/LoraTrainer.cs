using Lora.Llm.Training.Checkpoints;
using Lora.Llm.Training.Running;

namespace Lora.Llm;

/// <summary>Trains the active adapters of a wrapped language model.</summary>
/// <remarks>
/// <para>Everything runs on the caller's thread: TorchSharp's scopes and gradient mode belong to a thread. <see cref="Progress{T}"/> posts its reports to other
/// threads, where they may come late and out of order; give an <see cref="IProgress{T}"/> of your own that handles them at once.</para>
/// <para>Each step seeds torch's global random numbers, from which dropout draws, with a number that follows from <see cref="TrainingOptions.Seed"/> and the step (SplitMix64). The order of the
/// examples follows from the seed and the epoch. So on one device and one number of threads a training is a function of its settings, and one that goes on from a checkpoint gives the numbers of
/// one that was never stopped.</para>
/// <para>After each step come, in this order: the evaluation, where it is due; the decision to stop early; the report; the checkpoint.</para>
/// </remarks>
/// <typeparam name="TModel">The model's type.</typeparam>
public sealed class LoraTrainer<TModel>
    where TModel : CausalLanguageModel
{
    private static readonly CausalObjective s_texts = new();

    private readonly LoraModel<TModel> _lora;
    private readonly TrainingOptions _options;

    /// <summary>Prepares a training.</summary>
    /// <param name="lora">The wrapped model, which stays the caller's.</param>
    /// <param name="options">The settings; null for the defaults.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public LoraTrainer(LoraModel<TModel> lora, TrainingOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(lora);
        _lora = lora;
        _options = options ?? new TrainingOptions();
        _options.Validate();
    }

    /// <summary>Told where the training stands, for tests that stop it there.</summary>
    internal Action<TrainingPhase, int>? OnPhase { get; init; }

    /// <summary>Trains the adapter to predict texts. What was learned up to a cancellation or an error stays in it. The model's mode is restored at the end, and the gradients are released.</summary>
    /// <param name="data">The examples to learn.</param>
    /// <param name="evaluation">Held-out examples, or null.</param>
    /// <param name="progress">Told of every step.</param>
    /// <param name="cancellationToken">Stops between two steps.</param>
    /// <returns>What happened.</returns>
    /// <inheritdoc cref="Train{TExample}(TrainingObjective{TExample}, ITrainingData{TExample}, ITrainingData{TExample}, IProgress{TrainingStep}, CancellationToken)" path="/exception"/>
    public TrainingResult Train(
        JsonlDataset data, JsonlDataset? evaluation = null, IProgress<TrainingStep>? progress = null, CancellationToken cancellationToken = default) =>
        Train(s_texts, data, evaluation, progress, cancellationToken);

    /// <summary>Trains the adapter for any objective. What was learned up to a cancellation or an error stays in it. The model's mode is restored at the end, and the gradients are released.</summary>
    /// <typeparam name="TExample">What the objective learns from.</typeparam>
    /// <param name="objective">What is made small.</param>
    /// <param name="data">The examples to learn.</param>
    /// <param name="evaluation">Held-out examples, or null.</param>
    /// <param name="progress">Told of every step.</param>
    /// <param name="cancellationToken">Stops between two steps.</param>
    /// <returns>What happened.</returns>
    /// <exception cref="TrainingGuardException">One of <see cref="TrainingOptions.Guards"/> stopped it.</exception>
    /// <exception cref="InvalidOperationException">There is nothing to train, the adapter is merged, disabled or not active, or the checkpoints are those of another training.</exception>
    /// <exception cref="ArgumentException">The data or <see cref="TrainingOptions.PadTokenId"/> hold a token that the model's vocabulary lacks, an example is longer than <see cref="TrainingOptions.PackedLength"/>, the objective cannot pack, or a setting needs held-out examples.</exception>
    /// <exception cref="NotSupportedException">Checkpoints are asked for, and the optimizer cannot save its state.</exception>
    /// <exception cref="InvalidDataException">The checkpoint that was asked for, or the best one at the end, is not whole.</exception>
    /// <exception cref="IOException">The folder of checkpoints is in use by another training, or cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public TrainingResult Train<TExample>(
        TrainingObjective<TExample> objective, ITrainingData<TExample> data, ITrainingData<TExample>? evaluation = null, IProgress<TrainingStep>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(objective);
        ArgumentNullException.ThrowIfNull(data);
        bool training = _lora.Model.training;
        try
        {
            // Adapters that are merged for evaluation alone (WrapOptions.MergeInEvaluation) are taken out again.
            _lora.Model.train();
            using var run = new TrainingRun<TModel, TExample>(_lora, _options, objective, data, evaluation, Named, OnPhase);
            return run.Run(progress, cancellationToken);
        }
        finally
        {
            if (training) _lora.Model.train();
            else _lora.Model.eval();
        }
    }

    /// <summary>Computes the mean loss of all learned tokens of some examples, without dropout and without gradients.</summary>
    /// <param name="data">The examples.</param>
    /// <param name="cancellationToken">Stops between two batches.</param>
    /// <returns>The loss in nats per token; its exponential is the perplexity.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ArgumentException">The data or <see cref="TrainingOptions.PadTokenId"/> hold a token that the model's vocabulary lacks.</exception>
    public double Evaluate(JsonlDataset data, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        DataChecks.Vocabulary(s_texts, data, _lora.Model.VocabularySize, _options.PadTokenId);
        return Evaluator.Evaluate(s_texts, ObjectiveContext.Of(_lora, _options.PadTokenId), data.Examples, _options.EvaluationBatchSize, cancellationToken).Loss;
    }

    /// <summary>Adds to the gradients those of the mean loss over the learned tokens of all parts together, which is not the mean of their means.</summary>
    internal (double Loss, int Tokens) AddGradients(IReadOnlyList<IReadOnlyList<TrainingExample>> parts)
    {
        (double loss, int tokens, _) = GradientSum.Add(s_texts, ObjectiveContext.Of(_lora, _options.PadTokenId), parts, parts.Sum(part => part.Sum(s_texts.WeightOf)));
        return (loss, tokens);
    }

    private string Named => $"Adapter {string.Join(" + ", (_lora.ActiveAdapters.Count > 0 ? _lora.ActiveAdapters : _lora.AdapterNames).Select(name => $"'{name}'"))}";
}
