namespace Lora.Llm.Training.Running;

/// <summary>Adds up what objectives tell of batches.</summary>
internal sealed class MetricSums
{
    private readonly OrderedDictionary<string, double> _sums = new(StringComparer.Ordinal);

    internal void Add(IReadOnlyDictionary<string, double> metrics)
    {
        foreach ((string name, double value) in metrics) _sums[name] = _sums.GetValueOrDefault(name) + value;
    }

    internal IReadOnlyDictionary<string, double> DividedBy(double weight) =>
        _sums.Count == 0 ? TrainingResult.NoMetrics : new OrderedDictionary<string, double>(_sums.Select(sum => KeyValuePair.Create(sum.Key, sum.Value / weight)), StringComparer.Ordinal);
}
