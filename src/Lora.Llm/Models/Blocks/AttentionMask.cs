using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Where the tokens of a forward pass may not look.</summary>
internal static class AttentionMask
{
    /// <summary>
    /// Makes the mask of a forward pass: bool, shape <c>[1 or batch, 1, length, past + length]</c>, true where a token may not look; null when every
    /// token may look everywhere, as in decoding one token without padding.
    /// </summary>
    internal static Tensor? Causal(long length, long past, Tensor? padding, Device device)
    {
        if (length == 1 && padding is null) return null;
        Tensor forbidden = ones([length, past + length], dtype: ScalarType.Bool, device: device).triu(past + 1).reshape(1, 1, length, past + length);
        return padding is null ? forbidden : forbidden.logical_or(padding.eq(0).unsqueeze(1).unsqueeze(1));
    }

    /// <summary>The score of a forbidden place. The smallest number instead of −∞: a row of padding alone then gives equal weights, and no NaN.</summary>
    internal static double Lowest(ScalarType type) => finfo(type).min;
}
