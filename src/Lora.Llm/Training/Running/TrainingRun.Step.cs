using System.Diagnostics;
using Lora.Llm.Training.Checkpoints;
using Lora.Llm.Training.Guards;
using Lora.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Running;

internal sealed partial class TrainingRun<TModel, TExample>
{
    // From 65536 down to a scale that scales nothing are 16; more only hide that the forward pass itself overflows.
    private const int MostSkips = 25;

    private bool _checkedFrozen;

    private StepOutcome Step(IEnumerator<IReadOnlyList<TExample>> batches)
    {
        using var scope = NewDisposeScope();
        var clock = Stopwatch.StartNew();
        int step = _state.Step, number = step + 1;
        Seed(StepSeed.Of(_options.Seed, step));
        foreach ((optim.ILearningRateController group, double rate) in _optimizer.ParamGroups.Zip(_rates)) group.LearningRate = rate * _schedule.FactorAt(step);
        List<IReadOnlyList<TExample>> parts = [];
        long most = BatchesBefore(number) - BatchesBefore(step);
        while (parts.Count < most && batches.MoveNext()) parts.Add(batches.Current);
        double weight = WeightOf(parts, number);

        _optimizer.zero_grad();
        (double loss, int tokens, IReadOnlyDictionary<string, double> metrics) = GradientSum.Add(_objective, _context, parts, weight, _scaler, (i, share) => CheckLoss(share, parts, i, number));
        if (step == 0 && Guards(TrainingGuards.Gradients)) StartGuard.ThrowIfNothingLearns(_pairs, _named);
        double? scale = _scaler?.Scale;
        bool finite = _scaler?.Unscale(_parameters) ?? true;
        double norm = Clip();
        if (finite) CheckNorm(norm, number);
        _enter(TrainingPhase.InStep, number);
        if (_scaler is null) _optimizer.step();
        else _scaler.Step(_optimizer);

        _state.Step = number;
        _state.Tokens += tokens;
        _state.LearningSeconds += clock.Elapsed.TotalSeconds;
        Count(finite, number);
        return new StepOutcome(loss, norm, tokens, _schedule.At(step), scale, !finite, !_checkedFrozen, metrics);
    }

    // So the random numbers of a step do not depend on those before it.
    private void Seed(long seed)
    {
        manual_seed(seed).Dispose();
        // TorchSharp's manual_seed is that of the CPU alone.
        if (_context.Device.type == DeviceType.CUDA) cuda.manual_seed_all(seed);
    }

    private double Clip()
    {
        double most = _options.MaxGradientNorm > 0 ? _options.MaxGradientNorm : double.PositiveInfinity;
        return _optimizer is FlatAdamW flat ? flat.ClipGradientNorm(most) : nn.utils.clip_grad_norm_(_parameters, most);
    }

    private void Count(bool finite, int number)
    {
        if (_scaler is not null) (_state.LossScale, _state.LossScaleGoodSteps) = (_scaler.State.Scale, _scaler.State.GoodSteps);
        if (!finite) _state.SkippedSteps++;
        _state.SkippedInARow = finite ? 0 : _state.SkippedInARow + 1;
        if (_state.SkippedInARow < MostSkips || !Guards(TrainingGuards.FiniteNumbers)) return;
        throw new TrainingGuardException(TrainingGuards.FiniteNumbers, number, FormattableString.Invariant(
            $"The gradients overflowed at {MostSkips} steps in a row, the last of which is step {number}, although the loss scale has fallen to {_scaler!.Scale}: the model does not compute in {TypeOfBase()}, or the learning rate ({_options.LearningRate}) is too high."));
    }

    private ScalarType TypeOfBase() => _lora.Model.parameters().First(parameter => !parameter.requires_grad).dtype;

    private double WeightOf(List<IReadOnlyList<TExample>> parts, int number)
    {
        double weight = parts.Sum(part => part.Sum(_objective.WeightOf));
        if (weight > 0) return weight;
        if (!Guards(TrainingGuards.LearnedTokens)) return 1;
        throw new TrainingGuardException(TrainingGuards.LearnedTokens, number,
            $"Step {number} has nothing to learn: none of its {parts.Sum(part => part.Count)} examples ({Rows([.. parts.SelectMany(part => part)])}) has a label behind its first place. Leave such examples out, or read the data with a larger MaxLength or with TrainOnPrompt.");
    }

    private TrainingStep Describe(StepOutcome outcome, bool evaluated) =>
        new(_state.Step, _total, outcome.Loss, outcome.LearningRate, outcome.Norm, outcome.Tokens, TimeSpan.FromSeconds(_state.ElapsedSeconds), _state.Tokens / _state.LearningSeconds, evaluated ? _state.EvaluationLoss : null)
        {
            IsSkipped = outcome.IsSkipped,
            LossScale = outcome.LossScale,
            Metrics = outcome.Metrics,
            EvaluationMetrics = evaluated ? _state.EvaluationMetrics : TrainingResult.NoMetrics,
        };
}
