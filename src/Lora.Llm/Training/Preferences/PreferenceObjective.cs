using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// Learns which of two answers is preferred (direct preference optimization). The reference is the same model with its adapters switched off, so that no second model is in memory; its log-probabilities are
/// found out once, before the first step.
/// </summary>
/// <remarks>
/// The log-probability of an answer is the sum over its labelled tokens. Each preference counts the same. Metrics: <c>rewards/chosen</c> and <c>rewards/rejected</c>, β times by how much more probable than to the
/// reference an answer has become, in nats; <c>rewards/margin</c>, their difference; <c>rewards/accuracy</c>, the share of preferences whose chosen answer has the higher reward; <c>logps/chosen</c> and <c>logps/rejected</c>, the log-probabilities themselves; <c>logps/accuracy</c>, the share whose chosen answer is
/// the more probable one. An adapter whose start changes what
/// the model computes is trained against the base without it.
/// </remarks>
public sealed class PreferenceObjective : TrainingObjective<PreferenceExample>
{
    private readonly PreferenceOptions _options;
    private readonly Dictionary<PreferenceExample, (double Chosen, double Rejected)> _reference = new(ReferenceEqualityComparer.Instance);
    private ObjectiveContext? _context;

    /// <summary>Creates the objective.</summary>
    /// <param name="options">The settings; null for the defaults.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public PreferenceObjective(PreferenceOptions? options = null)
    {
        _options = options ?? new PreferenceOptions();
        _options.Validate();
    }

    /// <inheritdoc/>
    public override string Name => "preference";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>
    {
        [nameof(_options.Kind)] = $"{_options.Kind}",
        [nameof(_options.Beta)] = _options.Beta.ToString(CultureInfo.InvariantCulture),
        [nameof(_options.LabelSmoothing)] = _options.LabelSmoothing.ToString(CultureInfo.InvariantCulture),
        [nameof(_options.ReferenceBatchSize)] = _options.ReferenceBatchSize.ToString(CultureInfo.InvariantCulture),
    };

    /// <inheritdoc/>
    public override IReadOnlyList<TrainingExample> TextsOf(PreferenceExample example)
    {
        ArgumentNullException.ThrowIfNull(example);
        return [example.Chosen, example.Rejected];
    }

    /// <inheritdoc/>
    public override double WeightOf(PreferenceExample example) => TextsOf(example).Any(text => text.LearnedTokens > 0) ? 1 : 0;

    /// <inheritdoc/>
    public override void Prepare(ObjectiveContext context, IReadOnlyList<PreferenceExample> examples, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(examples);
        // Of another training, with another base perhaps.
        if (!ReferenceEquals(context, _context)) _reference.Clear();
        _context = context;
        using IDisposable without = context.WithoutAdapters();
        // In an order of the examples alone, so that a resumed training finds the same numbers to the last bit.
        foreach (PreferenceExample[] batch in examples.OrderBy(LengthOf).Chunk(_options.ReferenceBatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            (Tensor chosen, Tensor rejected, _) = LogProbabilities(context, batch);
            double[] better = Numbers(chosen), worse = Numbers(rejected);
            for (int i = 0; i < batch.Length; i++) _reference[batch[i]] = (better[i], worse[i]);
        }
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException"><see cref="Prepare"/> has not seen an example.</exception>
    public override ObjectiveValue Compute(ObjectiveContext context, IReadOnlyList<PreferenceExample> batch, double weight)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(batch);
        if (!batch.All(_reference.ContainsKey)) throw new InvalidOperationException($"The reference's log-probabilities of a preference are not known: call {nameof(Prepare)} with all examples first.");
        using var scope = NewDisposeScope();
        (Tensor chosen, Tensor rejected, int tokens) = LogProbabilities(context, batch);
        Tensor gainOfChosen = chosen.sub(Reference(pair => pair.Chosen)), gainOfRejected = rejected.sub(Reference(pair => pair.Rejected));
        Tensor loss = Losses(gainOfChosen.sub(gainOfRejected)).sum().div(weight);
        double[] better = [.. Numbers(gainOfChosen).Select(gain => _options.Beta * gain)], worse = [.. Numbers(gainOfRejected).Select(gain => _options.Beta * gain)];
        double[] first = Numbers(chosen), second = Numbers(rejected);
        return new ObjectiveValue(loss.MoveToOuterDisposeScope(), tokens)
        {
            Metrics = new OrderedDictionary<string, double>
            {
                ["rewards/chosen"] = better.Sum() / weight,
                ["rewards/rejected"] = worse.Sum() / weight,
                ["rewards/margin"] = (better.Sum() - worse.Sum()) / weight,
                ["rewards/accuracy"] = better.Zip(worse).Count(pair => pair.First > pair.Second) / weight,
                ["logps/chosen"] = first.Sum() / weight,
                ["logps/rejected"] = second.Sum() / weight,
                ["logps/accuracy"] = first.Zip(second).Count(pair => pair.First > pair.Second) / weight,
            },
        };

        Tensor Reference(Func<(double Chosen, double Rejected), double> of) =>
            tensor(batch.Select(example => of(_reference[example])).ToArray(), dtype: chosen.dtype, device: chosen.device);
    }

    // Of each preference: h, shape [pairs], to the loss, of the same shape.
    private Tensor Losses(Tensor difference)
    {
        if (_options.Kind == PreferenceKind.Ipo) return difference.sub(0.5 / _options.Beta).square();
        Tensor scaled = difference.mul(_options.Beta), right = nn.functional.logsigmoid(scaled).mul(_options.LabelSmoothing - 1);
        return _options.LabelSmoothing == 0 ? right : right.sub(nn.functional.logsigmoid(scaled.neg()).mul(_options.LabelSmoothing));
    }

    // Both answers of all preferences in one pass, the chosen ones first.
    private static (Tensor Chosen, Tensor Rejected, int Tokens) LogProbabilities(ObjectiveContext context, IReadOnlyList<PreferenceExample> batch)
    {
        using TrainingBatch texts = context.Collate([.. batch.Select(example => example.Chosen), .. batch.Select(example => example.Rejected)]);
        Tensor logits = context.Model.call(texts.ToInput());
        Tensor scores = logits.reshape(-1, logits.shape[2]);
        if (scores.dtype != ScalarType.Float64) scores = scores.to(ScalarType.Float32);
        Tensor losses = nn.functional.cross_entropy(scores, CausalLoss.NextLabels(texts.Labels), ignore_index: TrainingExample.IgnoredLabel, reduction: nn.Reduction.None);
        Tensor all = losses.view(texts.Labels.shape).sum(1, keepdim: false).neg();
        return (all.narrow(0, 0, batch.Count), all.narrow(0, batch.Count, batch.Count), texts.Tokens);
    }

    private static double[] Numbers(Tensor values) => values.detach().to(ScalarType.Float64).cpu().data<double>().ToArray();
}
