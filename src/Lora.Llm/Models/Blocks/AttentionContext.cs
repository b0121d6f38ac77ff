using Lora.Llm.Blocks.Passes;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>What one forward pass tells the attention of a layer.</summary>
/// <param name="Seen">The number of last positions that any of its tokens looks at.</param>
/// <param name="Forbidden">Where among them a token may not look; null for nowhere.</param>
/// <param name="Cache">Keys and values of the tokens before; null for none.</param>
internal sealed record AttentionContext(long Seen, Tensor? Forbidden, KeyValueCache? Cache)
{
    /// <summary>The tables of the rotary positions; those of a model with other positions are not asked for.</summary>
    internal (Tensor Cosine, Tensor Sine) Rotation { get; init; }

    /// <summary>The same tables for whole rows of heads; null where heads are turned one by one.</summary>
    internal RowRotation? Rows { get; init; }

    /// <summary>What each token looks at, where attention in blocks knows it; there is no <see cref="Forbidden"/> beside it. Null for whole matrices of scores.</summary>
    internal CausalReach? Causal { get; init; }

    /// <summary>The layer's place, for the cache.</summary>
    internal int Layer { get; init; }
}
