using Lora.Layers;

namespace Lora.Optimization;

/// <summary>Whether A and B are two matrices of one rank.</summary>
internal static class PairShape
{
    internal static string? Obstacle(LoraAdapter pair)
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        return pair.ToLowRank() is { A.shape: [1, _, _] }
            ? null
            : $"is a {pair.GetType().Name} whose A and B are no two matrices of rank {pair.Rank} (layers in groups or of several parts have none): leave it out";
    }
}
