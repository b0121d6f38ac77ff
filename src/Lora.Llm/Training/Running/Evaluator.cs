using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Running;

/// <summary>Computes means over held-out examples, without dropout and without gradients.</summary>
internal static class Evaluator
{
    internal static (double Loss, IReadOnlyDictionary<string, double> Metrics) Evaluate<TExample>(
        TrainingObjective<TExample> objective, ObjectiveContext context, IReadOnlyList<TExample> examples, int batchSize, CancellationToken cancellationToken)
    {
        double weight = examples.Sum(objective.WeightOf);
        bool training = context.Model.training;
        context.Model.eval();
        try
        {
            using var noGrad = no_grad();
            double sum = 0;
            var metrics = new MetricSums();
            // Examples of like length together, so that little is padded.
            foreach (TExample[] batch in examples.OrderBy(objective.LengthOf).Chunk(batchSize))
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                ObjectiveValue value = objective.Compute(context, batch, 1);
                sum += value.Loss.ToDouble();
                metrics.Add(value.Metrics);
            }
            return (sum / weight, metrics.DividedBy(weight));
        }
        finally
        {
            if (training) context.Model.train();
        }
    }
}
