using Lora.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Running;

/// <summary>The gradients of the batches of one step.</summary>
internal static class GradientSum
{
    /// <summary>Adds to the gradients those of the mean loss over all batches together, which is not the mean of their means.</summary>
    /// <param name="objective">What is computed.</param>
    /// <param name="context">The model.</param>
    /// <param name="batches">The batches.</param>
    /// <param name="weight">The weight of all batches together.</param>
    /// <param name="scaler">Scales the loss, or null.</param>
    /// <param name="check">Told of each batch and its share of the loss.</param>
    internal static (double Loss, int Tokens, IReadOnlyDictionary<string, double> Metrics) Add<TExample>(
        TrainingObjective<TExample> objective, ObjectiveContext context, IReadOnlyList<IReadOnlyList<TExample>> batches, double weight, LossScaler? scaler = null, Action<int, double>? check = null)
    {
        double loss = 0;
        int tokens = 0;
        var metrics = new MetricSums();
        for (int i = 0; i < batches.Count; i++)
        {
            using var scope = NewDisposeScope();
            ObjectiveValue value = objective.Compute(context, batches[i], weight);
            (scaler is null ? value.Loss : scaler.Scaled(value.Loss)).backward();
            double share = value.Loss.ToDouble();
            check?.Invoke(i, share);
            loss += share;
            tokens += value.Tokens;
            metrics.Add(value.Metrics);
        }
        return (loss, tokens, metrics.DividedBy(1));
    }
}
