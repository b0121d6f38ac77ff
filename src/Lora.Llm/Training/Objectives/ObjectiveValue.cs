using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>What an objective computes of a batch.</summary>
/// <param name="Loss">The sum of the losses divided by the weight that was given: a scalar, to call <c>backward</c> on.</param>
/// <param name="Tokens">The tokens that the model read, without padding.</param>
public sealed record ObjectiveValue(Tensor Loss, int Tokens)
{
    /// <summary>Other numbers to report, by name: sums over the batch divided by the same weight, so that those of several batches add up to a mean.</summary>
    /// <value>None by default.</value>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
}
