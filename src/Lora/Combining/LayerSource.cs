using Lora.Layers;

namespace Lora.Combining;

/// <summary>What one adapter brings to a layer.</summary>
/// <param name="Factors">A and B.</param>
/// <param name="Weight">The weight w that was asked for.</param>
/// <param name="Adapter">The adapter.</param>
internal sealed record LayerSource(LowRank Factors, double Weight, LoraAdapter Adapter)
{
    /// <summary>The adapter's scale s.</summary>
    internal double Scale => Adapter.Scale;

    /// <summary>How often the rank of a block is in that of the adapter: as often as there are blocks, or once where the adapter's rank means that of a block.</summary>
    internal long RanksPerBlock => Adapter.FactorRank / Factors.Rank;

    /// <summary>The factor t of B·A in the sum.</summary>
    internal double Factor => Weight * Scale;
}
