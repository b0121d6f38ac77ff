using Lora.Layers;

namespace Lora.Optimization;

/// <summary>Whether A and B are two matrices of one rank.</summary>
internal static class PairShape
{
    internal static string? Obstacle(LoraAdapter pair)
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        if (pair.Variant is { HasPlainPair: false } variant) return $"is a {variant.Title} adapter, whose update is no plain product of A and B: leave it out";
        return pair.ToLowRank() is { A.shape: [1, _, _] }
            ? null
            : $"is a {pair.GetType().Name} whose A and B are no two matrices of rank {pair.Rank} (layers in groups or of several parts have none): leave it out";
    }
}
