using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a decoder some of whose layers look at a sliding window alone (Beltagy et al. 2020).</summary>
public abstract record WindowedDecoderConfig : DecoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    private protected WindowedDecoderConfig()
    {
    }

    /// <summary>Reads the fields that all families have. What is wrong with them is left in <paramref name="file"/>.</summary>
    [SetsRequiredMembers]
    private protected WindowedDecoderConfig(ConfigReader file, FamilyDefaults defaults)
        : base(file, defaults)
    {
    }

    /// <summary>How many positions a token of a sliding layer looks at, itself included (<c>sliding_window</c>).</summary>
    public int? SlidingWindow { get; init; }

    /// <summary>What each layer looks at (<c>layer_types</c>); null for the family's usual order.</summary>
    /// <value>Null by default.</value>
    public IReadOnlyList<LayerAttention>? LayerTypes { get; init; }

    internal override LayerReach ReachOf(int layer) => new(Slides(layer) ? SlidingWindow : null, Rope);

    /// <summary>Whether the layer at a place looks at a window alone.</summary>
    private protected bool Slides(int layer) => LayerTypes is null ? SlidesByDefault(layer) : LayerTypes[layer] == LayerAttention.Sliding;

    /// <summary>Whether it does in the family's usual order.</summary>
    private protected abstract bool SlidesByDefault(int layer);

    private protected override void AddProblems(List<string> problems)
    {
        if (SlidingWindow < 1) problems.Add($"SlidingWindow must be at least 1, but is {SlidingWindow}.");
        if (LayerTypes is not null && LayerTypes.Count != Layers) problems.Add($"LayerTypes must have one entry for each of the {Layers} layers, but has {LayerTypes.Count}.");
        else if (SlidingWindow is null && Enumerable.Range(0, Math.Max(0, Layers)).Any(Slides)) problems.Add("SlidingWindow must be given, since some layers slide.");
    }
}
