using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>What running data through a model has shown.</summary>
/// <param name="Config">The configuration to make the adapter with.</param>
/// <param name="Statistics">One tensor of each layer, by the layer's path.</param>
internal sealed record Calibration(LoraConfig Config, IReadOnlyDictionary<string, Tensor> Statistics) : IDisposable
{
    public void Dispose()
    {
        foreach (Tensor statistic in Statistics.Values) statistic.Dispose();
    }
}
