using System.Diagnostics;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>Trains the adapter of a wrapped language model with AdamW.</summary>
/// <remarks>
/// Everything runs on the caller's thread: TorchSharp's scopes and gradient mode belong to a thread. <see cref="Progress{T}"/> posts its reports to other
/// threads, where they may come late and out of order; give an <see cref="IProgress{T}"/> of your own that handles them at once.
/// </remarks>
/// <typeparam name="TModel">The model's type.</typeparam>
public sealed class LoraTrainer<TModel>
    where TModel : CausalLanguageModel
{
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

    /// <summary>Trains the adapter. What was learned up to a cancellation or an error stays in it. The model's mode is restored at the end, and the gradients are released.</summary>
    /// <remarks>It seeds torch's global random numbers, from which dropout draws.</remarks>
    /// <param name="data">The examples to learn.</param>
    /// <param name="evaluation">Held-out examples, or null.</param>
    /// <param name="progress">Told of every step.</param>
    /// <param name="cancellationToken">Stops between two steps.</param>
    /// <returns>What happened.</returns>
    /// <exception cref="InvalidOperationException">There is nothing to train, the adapter is merged or disabled, or a loss or a gradient is not finite.</exception>
    /// <exception cref="ArgumentException">The data or <see cref="TrainingOptions.PadTokenId"/> hold a token that the model's vocabulary lacks, or an example is longer than <see cref="TrainingOptions.PackedLength"/>.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public TrainingResult Train(
        JsonlDataset data, JsonlDataset? evaluation = null, IProgress<TrainingStep>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(data);
        IReadOnlyList<Parameter> parameters = _lora.TrainableParameters();
        if (parameters.Count == 0) throw new InvalidOperationException($"{Named} has no parameter that requires gradients: call {nameof(LoraModel<TModel>.SetTrainable)}(true) first.");
        if (_lora.IsMerged || _lora.IsDisabled) throw new InvalidOperationException($"{Named} is {(_lora.IsMerged ? "merged" : "disabled")}, so training would not reach it.");

        CheckVocabulary(data);
        CheckLengths(data);
        var plan = new BatchPlan(data.Examples, _options.BatchSize, _options.GroupByLength, _options.Seed, _options.PackedLength);
        int total = _options.Steps ?? Math.Max(1, (int)Math.Ceiling(_options.Epochs * plan.BatchesPerEpoch / _options.GradientAccumulation));
        var schedule = new LearningRateSchedule(_options.Schedule, _options.LearningRate, _options.WarmupSteps, total);
        double? before = evaluation is null ? null : Evaluate(evaluation, cancellationToken);

        manual_seed(_options.Seed);
        bool training = _lora.Model.training;
        var clock = Stopwatch.StartNew();
        var steps = new List<TrainingStep>();
        var learning = new Stopwatch();
        long tokens = 0;
        double? last = null;
        using var optimizer = optim.AdamW(parameters, _options.LearningRate, weight_decay: _options.WeightDecay);
        try
        {
            _lora.Model.train();
            using IEnumerator<IReadOnlyList<TrainingExample>> batches = plan.Batches().GetEnumerator();
            for (int step = 0; step < total; step++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                learning.Start();
                foreach (optim.ILearningRateController group in optimizer.ParamGroups) group.LearningRate = schedule.At(step);
                (double loss, double norm, int seen) = Step(optimizer, parameters, batches);
                learning.Stop();
                tokens += seen;
                bool evaluate = evaluation is not null && (step + 1 == total || (_options.EvaluationInterval > 0 && (step + 1) % _options.EvaluationInterval == 0));
                double? held = evaluate ? Evaluate(evaluation!, cancellationToken) : null;
                last = held ?? last;
                steps.Add(new TrainingStep(step + 1, total, loss, schedule.At(step), norm, seen, clock.Elapsed, tokens / learning.Elapsed.TotalSeconds, held));
                progress?.Report(steps[^1]);
            }
        }
        finally
        {
            foreach (Parameter parameter in parameters) parameter.grad = null;
            if (!training) _lora.Model.eval();
        }
        return new TrainingResult(steps, before, last, tokens, clock.Elapsed);
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
        CheckVocabulary(data);
        bool training = _lora.Model.training;
        _lora.Model.eval();
        try
        {
            using var noGrad = no_grad();
            double sum = 0;
            long count = 0;
            // Examples of like length together, so that little is padded.
            foreach (TrainingExample[] examples in data.Examples.OrderBy(example => example.InputIds.Count).Chunk(_options.EvaluationBatchSize))
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                using TrainingBatch batch = Collate(examples);
                sum += Loss(batch, 1).ToDouble();
                count += batch.LearnedTokens;
            }
            return sum / count;
        }
        finally
        {
            if (training) _lora.Model.train();
        }
    }

    private string Named => $"Adapter {string.Join(" + ", (_lora.ActiveAdapters.Count > 0 ? _lora.ActiveAdapters : _lora.AdapterNames).Select(name => $"'{name}'"))}";

    private (double Loss, double Norm, int Tokens) Step(
        optim.Optimizer optimizer, IReadOnlyList<Parameter> parameters, IEnumerator<IReadOnlyList<TrainingExample>> batches)
    {
        using var scope = NewDisposeScope();
        List<IReadOnlyList<TrainingExample>> parts = [];
        while (parts.Count < _options.GradientAccumulation && batches.MoveNext()) parts.Add(batches.Current);
        optimizer.zero_grad();
        (double loss, int tokens) = AddGradients(parts);
        CheckFinite(loss, "loss");
        double norm = nn.utils.clip_grad_norm_(parameters, _options.MaxGradientNorm > 0 ? _options.MaxGradientNorm : double.PositiveInfinity);
        CheckFinite(norm, "norm of the gradients");
        optimizer.step();
        return (loss, norm, tokens);
    }

    /// <summary>Adds to the gradients those of the mean loss over the learned tokens of all parts together, which is not the mean of their means.</summary>
    internal (double Loss, int Tokens) AddGradients(IReadOnlyList<IReadOnlyList<TrainingExample>> parts)
    {
        int learned = parts.Sum(part => part.Sum(example => example.LearnedTokens)), tokens = 0;
        double loss = 0;
        foreach (IReadOnlyList<TrainingExample> part in parts)
        {
            using var scope = NewDisposeScope();
            using TrainingBatch batch = Collate(part);
            Tensor share = Loss(batch, learned);
            share.backward();
            loss += share.ToDouble();
            tokens += batch.Tokens;
        }
        return (loss, tokens);
    }

    private void CheckFinite(double value, string what)
    {
        if (!double.IsFinite(value))
        {
            throw new InvalidOperationException(FormattableString.Invariant(
                $"The {what} is {value}: lower the learning rate ({_options.LearningRate}), or check the data and the model. The adapter was not changed by this step."));
        }
    }

    private void CheckLengths(JsonlDataset data)
    {
        int[] tooLong = [.. Enumerable.Range(0, data.Examples.Count).Where(i => data.Examples[i].InputIds.Count > _options.PackedLength)];
        if (tooLong.Length > 0)
        {
            throw new ArgumentException(
                $"Example {tooLong[0] + 1} of {data.Path} has {data.Examples[tooLong[0]].InputIds.Count} tokens{(tooLong.Length > 1 ? $", and {tooLong.Length - 1} more are too long" : "")}, but {nameof(TrainingOptions.PackedLength)} is {_options.PackedLength}: raise it, or read the data with a smaller MaxLength.", nameof(data));
        }
    }

    // On a GPU a token beyond the embedding would end the process.
    private void CheckVocabulary(JsonlDataset data)
    {
        int size = _lora.Model.VocabularySize;
        if (_options.PadTokenId >= size) throw new ArgumentException($"{nameof(TrainingOptions.PadTokenId)} is {_options.PadTokenId}, but the model's vocabulary has {size} tokens.");
        for (int i = 0; i < data.Examples.Count; i++)
        {
            int largest = data.Examples[i].InputIds.Max();
            if (largest >= size)
                throw new ArgumentException($"Example {i + 1} of {data.Path} holds the token {largest}, but the model's vocabulary has {size} tokens: read the data with the model's own tokenizer.", nameof(data));
        }
    }

    private TrainingBatch Collate(IReadOnlyList<TrainingExample> examples) =>
        TrainingBatch.Collate(examples, _options.PadTokenId, _lora.Layers[0].Layer.Adapter.A.device);

    private Tensor Loss(TrainingBatch batch, double learnedTokens) =>
        _lora.Model.Loss(batch.ToInput(), batch.Labels, learnedTokens);
}
