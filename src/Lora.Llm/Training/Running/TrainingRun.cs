using System.Diagnostics;
using Lora.Layers;
using Lora.Llm.Training.Checkpoints;
using Lora.Llm.Training.Guards;
using Lora.Optimization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Running;

/// <summary>One call of a trainer: step, evaluate, stop early, report, save, and so on.</summary>
internal sealed partial class TrainingRun<TModel, TExample> : IDisposable
    where TModel : CausalLanguageModel
{
    private readonly LoraModel<TModel> _lora;
    private readonly TrainingOptions _options;
    private readonly TrainingObjective<TExample> _objective;
    private readonly ITrainingData<TExample> _data;
    private readonly ITrainingData<TExample>? _evaluation;
    private readonly Action<TrainingPhase, int> _enter;
    private readonly string _named;
    private readonly ObjectiveContext _context;
    private readonly BatchPlan<TExample> _plan;
    private readonly int _total;
    private readonly long _batches;
    private readonly LearningRateSchedule _schedule;
    private readonly CheckpointStore? _store;
    private readonly optim.Optimizer _optimizer;
    private readonly double[] _rates;
    private readonly Parameter[] _parameters;
    private readonly LoraAdapter[] _pairs;
    private readonly LossScaler? _scaler;
    private readonly List<string> _remarks = [];
    private TrainingState _state = new();
    private FrozenWeights? _frozen;

    internal TrainingRun(
        LoraModel<TModel> lora, TrainingOptions options, TrainingObjective<TExample> objective, ITrainingData<TExample> data, ITrainingData<TExample>? evaluation, string named, Action<TrainingPhase, int>? enter)
    {
        (_lora, _options, _objective, _data, _evaluation, _named, _enter) = (lora, options, objective, data, evaluation, named, enter ?? ((_, _) => { }));
        IReadOnlyList<ParameterGroup> groups = TrainedGroups.Of(lora, options, named);
        _parameters = [.. groups.SelectMany(group => group.Parameters)];
        _pairs = [.. lora.Pairs().Where(pair => lora.ActiveAdapters.Contains(pair.AdapterName) && (pair.A.requires_grad || pair.B.requires_grad))];
        _context = ObjectiveContext.Of(lora, options.PadTokenId);
        Check();
        _plan = new BatchPlan<TExample>(data.Examples, objective.LengthOf, objective.Pack, options.BatchSize, options.GroupByLength, options.Seed, options.PackedLength);
        _batches = options.Steps is int steps ? (long)steps * options.GradientAccumulation : Math.Max(1, (long)Math.Ceiling(options.Epochs * _plan.BatchesPerEpoch));
        _total = options.Steps ?? (int)Math.Min(int.MaxValue, (_batches - 1) / options.GradientAccumulation + 1);
        _schedule = new LearningRateSchedule(options.Schedule, options.LearningRate, options.WarmupSteps, _total);
        if (options.LossScale is double scale) _scaler = new LossScaler(scale, interval: options.LossScaleInterval);
        bool ready = false;
        try
        {
            _optimizer = options.Optimizer?.Invoke(groups) ?? new FlatAdamW(groups);
            _rates = [.. _optimizer.ParamGroups.Select(group => group.LearningRate)];
            if (options.Checkpoints is not null)
            {
                if (!OptimizerStates.CanSave(_optimizer)) throw OptimizerStates.CannotSave(_optimizer);
                _store = CheckpointStore.Open(options.Checkpoints, _enter);
            }
            ready = true;
        }
        finally
        {
            if (!ready) Dispose();
        }
    }

    internal TrainingResult Run(IProgress<TrainingStep>? progress, CancellationToken cancellationToken)
    {
        var steps = new List<TrainingStep>();
        try
        {
            int? resumed = Begin(cancellationToken);
            double earlier = _state.ElapsedSeconds;
            var clock = Stopwatch.StartNew();
            using IEnumerator<IReadOnlyList<TExample>> batches = _plan.Batches(BatchesBefore(_state.Step)).GetEnumerator();
            while (_state.Step < _total && !_state.StoppedEarly)
            {
                cancellationToken.ThrowIfCancellationRequested();
                StepOutcome outcome = Step(batches);
                bool improved = Evaluate(outcome.IsFirst, cancellationToken, out bool evaluated);
                _state.ElapsedSeconds = earlier + clock.Elapsed.TotalSeconds;
                steps.Add(Describe(outcome, evaluated));
                progress?.Report(steps[^1]);
                _enter(TrainingPhase.BetweenStepAndSave, _state.Step);
                if (IsSavedAt(improved)) Save();
            }
            if (_options.LoadBestAtEnd) LoadBest();
            _state.ElapsedSeconds = earlier + clock.Elapsed.TotalSeconds;
            return Result(steps, resumed);
        }
        finally
        {
            foreach (Parameter parameter in _parameters) parameter.grad = null;
        }
    }

    public void Dispose()
    {
        _optimizer?.Dispose();
        _store?.Dispose();
    }

    // The last step of a number of epochs may have fewer batches than the others.
    private long BatchesBefore(int step) => Math.Min(_batches, (long)step * _options.GradientAccumulation);

    private bool Guards(TrainingGuards guard) => _options.Guards.HasFlag(guard);

    private void Check()
    {
        DataChecks.Vocabulary(_objective, _data, _lora.Model.VocabularySize, _options.PadTokenId);
        if (_options.PackedLength is not null && !_objective.CanPack)
            throw new ArgumentException($"Examples of the objective '{_objective.Name}' cannot share a row: leave {nameof(TrainingOptions.PackedLength)} out.");
        DataChecks.Lengths(_objective, _data, _options.PackedLength);
        if (_evaluation is not null) DataChecks.Vocabulary(_objective, _evaluation, _lora.Model.VocabularySize, _options.PadTokenId);
        _remarks.AddRange(new[] { _data, _evaluation }.OfType<ITrainingData<TExample>>().Distinct().Select(data => DataChecks.Positions(_objective, data, _lora.Model)).OfType<string>());
        string? needs = _options.EarlyStopping is not null ? nameof(_options.EarlyStopping) : _options.LoadBestAtEnd ? nameof(_options.LoadBestAtEnd) : null;
        if (needs is not null && _evaluation is null) throw new ArgumentException($"{needs} needs held-out examples, but there are none: give some as the evaluation.");
        if (Guards(TrainingGuards.DeadStart)) StartGuard.ThrowIfDead(_pairs, _named);
    }

    private int? Begin(CancellationToken cancellationToken)
    {
        _lora.Model.eval();
        using (no_grad())
        {
            _objective.Prepare(_context, _data.Examples, cancellationToken);
            if (_evaluation is not null) _objective.Prepare(_context, _evaluation.Examples, cancellationToken);
        }
        _lora.Model.train();
        if (_store is not null || Guards(TrainingGuards.FrozenWeights)) _frozen = LookAtFrozen();
        int? resumed = Resume();
        if (resumed is null && _evaluation is not null) (_state.EvaluationLossBefore, _state.EvaluationMetricsBefore) = Measure(cancellationToken);
        return resumed;
    }

    private FrozenWeights LookAtFrozen() => new([.. _lora.Model.named_parameters().Where(weight => !weight.parameter.requires_grad)]);

    private TrainingResult Result(List<TrainingStep> steps, int? resumed) =>
        new(steps, _state.EvaluationLossBefore, _state.EvaluationLoss, _state.Tokens, TimeSpan.FromSeconds(_state.ElapsedSeconds))
        {
            EvaluationMetricsBefore = _state.EvaluationMetricsBefore,
            EvaluationMetricsAfter = _state.EvaluationMetrics,
            ResumedFrom = resumed,
            StoppedEarly = _state.StoppedEarly,
            BestStep = _state.BestStep,
            BestEvaluationLoss = _state.BestLoss,
            SkippedSteps = _state.SkippedSteps,
            Remarks = _remarks,
        };
}
