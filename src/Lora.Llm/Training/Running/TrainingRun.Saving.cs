using Lora.Llm.Training.Checkpoints;
using Lora.Optimization;

namespace Lora.Llm.Training.Running;

internal sealed partial class TrainingRun<TModel, TExample>
{
    private SortedDictionary<string, string>? _settings;

    // Looks at the frozen weights too, where a checkpoint or an evaluation will stand for what they were.
    private bool Evaluate(bool isFirst, CancellationToken cancellationToken, out bool evaluated)
    {
        evaluated = _evaluation is not null && (_state.Step == _total || (_options.EvaluationInterval > 0 && _state.Step % _options.EvaluationInterval == 0));
        if (isFirst || evaluated || IsSavedAt(improved: false)) CheckFrozen();
        if (!evaluated) return false;
        (double loss, _state.EvaluationMetrics) = Measure(cancellationToken);
        return _state.Take(loss, _options.EarlyStopping);
    }

    private (double Loss, IReadOnlyDictionary<string, double> Metrics) Measure(CancellationToken cancellationToken)
    {
        (double Loss, IReadOnlyDictionary<string, double> Metrics) measured = Evaluator.Evaluate(_objective, _context, _evaluation!.Examples, _options.EvaluationBatchSize, cancellationToken);
        if (double.IsFinite(measured.Loss) || !Guards(TrainingGuards.FiniteNumbers)) return measured;
        throw new TrainingGuardException(TrainingGuards.FiniteNumbers, _state.Step, FormattableString.Invariant(
            $"The loss of the held-out examples of {_evaluation.Path} is {measured.Loss} after {_state.Step} steps: check the data and the model, or lower the learning rate ({_options.LearningRate})."));
    }

    private bool IsSavedAt(bool improved) => _store is not null
        && (_state.Step % _options.Checkpoints!.Interval == 0 || _state.Step == _total || _state.StoppedEarly || (improved && _options.Checkpoints.KeepBest));

    private void Save()
    {
        int step = _state.Step;
        _store!.Save(
            step, _state.BestStep, [_lora.Save, folder => CheckpointTensors.Save(folder, _lora, _optimizer)],
            files => new CheckpointRecord(
                CheckpointRecord.CurrentFormat, _total, BatchesBefore(step), (double)BatchesBefore(step) / _plan.BatchesPerEpoch, _schedule.At(step - 1), _state, Settings(), files));
    }

    private int? Resume()
    {
        if (_store?.Find(_remarks) is not (string path, CheckpointRecord record)) return null;
        TrainingSettings.ThrowIfDifferent(path, Settings(), record.Settings);
        ThrowIfShort(path, record);
        CheckpointTensors.Load(path, _lora, _optimizer);
        // The checkpoint may hold frozen parts of adapters that were drawn at random.
        _frozen = LookAtFrozen();
        _state = record.State;
        // Early stopping changes no number, so it may be another now.
        _state.StoppedEarly = _state.StaleEvaluations >= _options.EarlyStopping?.Patience;
        if (_scaler is not null && _state.LossScale is double scale) _scaler.State = new LossScalerState(scale, _state.LossScaleGoodSteps);
        return _state.Step;
    }

    // The last step of a number of epochs takes the batches that are left. In a longer training it would have taken more.
    private void ThrowIfShort(string path, CheckpointRecord record)
    {
        int step = record.State.Step;
        if (record.Batches == BatchesBefore(step)) return;
        long there = record.Batches - BatchesBefore(step - 1), here = BatchesBefore(step) - BatchesBefore(step - 1);
        throw new InvalidOperationException(
            $"The training cannot go on from '{path}', where another number of epochs ended: its step {step} took {there} batch{(there == 1 ? "" : "es")}, and takes {here} here. Set {nameof(CheckpointOptions)}.{nameof(CheckpointOptions.ResumeFrom)} to an earlier checkpoint, or give another folder to begin anew.");
    }

    private void LoadBest()
    {
        if (_state.BestStep is not int best || best == _state.Step) return;
        _store!.Whole(best);
        CheckpointTensors.Load(_store.PathOf(best), _lora, optimizer: null);
    }

    // Asked for before anything is trained, and the same ever after.
    private SortedDictionary<string, string> Settings()
    {
        if (_settings is not null) return _settings;
        SortedDictionary<string, string> settings = TrainingSettings.Of(_options, _total, _objective.Settings);
        settings.Add("the objective", _objective.Name);
        settings.Add("the optimizer", $"{_optimizer.GetType().Name} over {string.Join(" + ", _optimizer.ParamGroups.Zip(_rates).Select(pair => FormattableString.Invariant($"rate {pair.Second}")))}, {_parameters.Length} parameters");
        settings.Add("the data", TrainingSettings.HashOf(_objective, _data.Examples));
        settings.Add("the held-out data", _evaluation is null ? "none" : TrainingSettings.HashOf(_objective, _evaluation.Examples));
        HashSet<IntPtr> own = [.. _lora.AdapterNames.SelectMany(_lora.AdapterTensors).Select(tensor => tensor.Value.Handle)];
        HashSet<string> adapters = [.. _lora.Model.named_parameters().Where(weight => own.Contains(weight.parameter.Handle)).Select(weight => weight.name)];
        settings.Add("the base weights", _frozen!.Fingerprint(name => !adapters.Contains(name)));
        TrainingSettings.AddAdapters(settings, _lora);
        return _settings = settings;
    }
}
