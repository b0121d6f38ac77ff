using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Where the tokens of a forward pass may not look.</summary>
internal static class AttentionMask
{
    /// <summary>The number of last positions, of <paramref name="past"/> and <paramref name="length"/> new ones, that some new token may look at.</summary>
    /// <param name="length">The number of new tokens.</param>
    /// <param name="past">The number of tokens before them.</param>
    /// <param name="window">How many positions a token may look at, itself included; null for all.</param>
    internal static long Seen(long length, long past, int? window) => window is int width ? Math.Min(past + length, width + length - 1) : past + length;

    /// <summary>
    /// Makes the mask of a forward pass: bool, shape <c>[1 or batch, 1, length, seen]</c>, true where a token may not look; null when every
    /// token may look everywhere, as in decoding one token without padding. Positions count from the first slot, padding included, as in transformers.
    /// </summary>
    internal static Tensor? Causal(long length, long past, int? window, Tensor? padding, Device device, Tensor? sequences = null)
    {
        if (length == 1 && padding is null) return null;
        long seen = Seen(length, past, window), before = seen - length;
        Tensor all = ones([length, seen], dtype: ScalarType.Bool, device: device), forbidden = all.triu(before + 1);
        if (window < seen) forbidden = forbidden.logical_or(all.tril(before - window.Value));
        forbidden = forbidden.reshape(1, 1, length, seen);
        // Without a cache, so that what is seen is the row itself.
        if (sequences is not null) forbidden = forbidden.logical_or((sequences.unsqueeze(-1) != sequences.unsqueeze(-2)).unsqueeze(1));
        return padding is null ? forbidden : forbidden.logical_or(padding.narrow(1, past + length - seen, seen).eq(0).unsqueeze(1).unsqueeze(1));
    }

    /// <summary>
    /// What is added to the scores of a model that looks to both sides, so that padding is not seen: shape <c>[batch, 1, 1, length]</c>; null without padding.
    /// Half of the lowest number, which leaves nothing of a weight: the whole of it plus a score would be −∞ in float16, and a row of padding alone NaN.
    /// </summary>
    /// <param name="mask">1 where there is a token and 0 where there is padding, shape <c>[batch, length]</c>; null for no padding.</param>
    /// <param name="type">The type of the scores.</param>
    internal static Tensor? Padding(Tensor? mask, ScalarType type)
    {
        if (mask is null) return null;
        using var scope = NewDisposeScope();
        using Scalar lowest = Lowest(type) / 2;
        Tensor hidden = mask.eq(0).unsqueeze(1).unsqueeze(1);
        return zeros(hidden.shape, dtype: type, device: mask.device).masked_fill(hidden, lowest).MoveToOuterDisposeScope();
    }

    /// <summary>The score of a forbidden place. The smallest number instead of −∞: a row of padding alone then gives equal weights, and no NaN.</summary>
    internal static double Lowest(ScalarType type) => finfo(type).min;
}
