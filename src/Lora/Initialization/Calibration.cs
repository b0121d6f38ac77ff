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

/// <summary>One layer while data runs.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Module">The base layer.</param>
/// <param name="View">Its weight.</param>
/// <param name="Rank">The rank of the adapter to come.</param>
/// <param name="Alpha">Its alpha.</param>
internal sealed record CalibratedLayer(string Path, nn.Module<Tensor, Tensor> Module, Layers.LinearView View, int Rank, double Alpha);
