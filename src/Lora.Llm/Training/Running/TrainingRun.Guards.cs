using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Running;

internal sealed partial class TrainingRun<TModel, TExample>
{
    private const int MostNamed = 8;

    private void CheckLoss(double share, List<IReadOnlyList<TExample>> parts, int part, int number)
    {
        if (double.IsFinite(share) || !Guards(TrainingGuards.FiniteNumbers)) return;
        List<TExample> bad = NotFinite(parts[part]);
        string batch = parts.Count > 1 ? $", batch {part + 1} of {parts.Count}" : "";
        string rows = bad.Count == 0 ? "no example alone gives that" : bad.Count == parts[part].Count ? $"every example alone gives that ({Rows(bad)})" : $"these examples alone give that: {Rows(bad)}";
        throw new TrainingGuardException(TrainingGuards.FiniteNumbers, number, FormattableString.Invariant(
            $"The loss of step {number}{batch} is {share}; {rows}. Lower the learning rate ({_options.LearningRate}), or check the data and the model. The adapter was not changed by this step."));
    }

    private void CheckNorm(double norm, int number)
    {
        if (double.IsFinite(norm) || !Guards(TrainingGuards.FiniteNumbers)) return;
        throw new TrainingGuardException(TrainingGuards.FiniteNumbers, number, FormattableString.Invariant(
            $"The norm of the gradients of step {number} is {norm}: lower the learning rate ({_options.LearningRate}), or check the data and the model{(TypeOfBase() == ScalarType.Float16 ? $", or set {nameof(TrainingOptions.LossScale)} for a model in Float16" : "")}. The adapter was not changed by this step."));
    }

    private void CheckFrozen()
    {
        if (_frozen is null || !Guards(TrainingGuards.FrozenWeights)) return;
        _checkedFrozen = true;
        IReadOnlyList<string> changed = _frozen.Changed();
        if (changed.Count == 0) return;
        throw new TrainingGuardException(TrainingGuards.FrozenWeights, _state.Step,
            $"{changed.Count} frozen weight{(changed.Count == 1 ? "" : "s")} changed up to step {_state.Step}: {string.Join(", ", changed.Take(MostNamed).Select(name => $"'{name}'"))}{(changed.Count > MostNamed ? ", …" : "")}. "
            + "The adapter was trained over other weights than it will be loaded onto. Look for an optimizer over more than the adapter's parameters, and for code that writes or merges weights in training.");
    }

    private List<TExample> NotFinite(IReadOnlyList<TExample> batch)
    {
        _lora.Model.eval();
        using var noGrad = no_grad();
        List<TExample> bad = [];
        foreach (TExample example in batch.Where(example => _objective.WeightOf(example) > 0))
        {
            using var scope = NewDisposeScope();
            if (!double.IsFinite(_objective.Compute(_context, [example], 1).Loss.ToDouble())) bad.Add(example);
        }
        return bad;
    }

    // Rows into which examples were packed are none of the file's.
    private string Rows(IReadOnlyList<TExample> examples)
    {
        int[] places = [.. examples.Select(example => _data.Examples.TakeWhile(other => !ReferenceEquals(other, example)).Count()).Where(place => place < _data.Examples.Count).Order()];
        return places.Length == 0 ? $"packed rows of {_data.Path}" : $"{string.Join(", ", places.Take(MostNamed).Select(place => place + 1))}{(places.Length > MostNamed ? ", …" : "")} of {_data.Path}";
    }
}
