namespace Lora.Llm.Blocks;

/// <summary>The sizes of a layer that tell how much it keeps between forward and backward.</summary>
/// <param name="Width">The width of the residual stream.</param>
/// <param name="Queries">The width of all queries.</param>
/// <param name="Keys">The width of all keys.</param>
/// <param name="Heads">The number of query heads.</param>
/// <param name="Inner">The inner width of the feed-forward part.</param>
/// <param name="InnerTensors">How many tensors of that width its activation and its gate keep.</param>
internal sealed record BlockShape(long Width, long Queries, long Keys, long Heads, long Inner, int InnerTensors)
{
    /// <summary>How many of them less are kept by passes over memory, where the type lets them be taken (<see cref="Passes.SwiGluPass"/>).</summary>
    internal int SparedByPasses { get; init; }

    /// <summary>Whether the attention leaves out what lies ahead, where the type and the device let it (<see cref="Passes.CausalBlocks"/>).</summary>
    internal bool AttendsInBlocks { get; init; }

    /// <summary>Whether the norms keep their input in float32 at least.</summary>
    internal bool NormsInFloat32 { get; init; }

    /// <summary>Whether training drops weights of the attention.</summary>
    internal bool DropsWeights { get; init; }

    /// <summary>Whether training drops what each part adds.</summary>
    internal bool DropsResiduals { get; init; }

    /// <summary>Of a Llama and its kin: gate, its activation, and what it is multiplied with.</summary>
    internal static BlockShape Of(DecoderConfig config) => new(
        config.HiddenSize, config.Heads * (long)config.HeadDimension, config.KeyValueHeads * (long)config.HeadDimension, config.Heads, config.IntermediateSize, 3)
    {
        SparedByPasses = config is GemmaConfig ? 0 : 1,
        AttendsInBlocks = config.Attention.TakesBlocks(training: true),
        NormsInFloat32 = true,
    };

    /// <summary>Of a GPT-2.</summary>
    internal static BlockShape Of(Gpt2Config config) => new(config.HiddenSize, config.HiddenSize, config.HiddenSize, config.Heads, config.InnerSize, Activations.Kept(config.Activation))
    {
        DropsWeights = config.AttentionDropout > 0,
        DropsResiduals = config.ResidualDropout > 0,
    };
}
