using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>
/// Which bucket the distance from a query to a key falls into (Raffel et al. 2020): near distances have one each, farther ones share them by their logarithm, and
/// all beyond <paramref name="farthest"/> share the last.
/// </summary>
/// <param name="count">The number of buckets.</param>
/// <param name="farthest">The distance from which on all fall into the last bucket.</param>
/// <param name="bothWays">Whether keys behind the query have the second half of the buckets; else they have bucket 0.</param>
internal sealed class RelativeBuckets(int count, int farthest, bool bothWays)
{
    /// <summary>The buckets of all pairs, int64, shape <c>[queries, keys]</c>, in the current dispose scope.</summary>
    /// <param name="past">The place of the first query among the keys.</param>
    /// <param name="queries">The number of queries.</param>
    /// <param name="keys">The number of keys.</param>
    /// <param name="device">Where they are wanted.</param>
    internal Tensor Between(long past, long queries, long keys, Device device)
    {
        // There are far fewer distances than pairs.
        long first = -(past + queries - 1);
        Tensor buckets = Of(arange(first, keys, dtype: ScalarType.Int64));
        Tensor at = arange(keys, dtype: ScalarType.Int64).unsqueeze(0).sub(arange(past + first, past + first + queries, dtype: ScalarType.Int64).unsqueeze(1));
        return buckets.index_select(0, at.reshape(-1)).reshape(queries, keys).to(device);
    }

    /// <summary>The buckets of distances, each the key's place less the query's, in the current dispose scope.</summary>
    internal Tensor Of(Tensor distances)
    {
        int own = bothWays ? count / 2 : count, exact = own / 2;
        using Scalar width = exact, logarithm = Math.Log((double)farthest / exact), rest = own - exact, last = own - 1;
        Tensor away = bothWays ? distances.abs() : distances.neg().clamp_min(0);
        // In float32 and in this order, as in transformers: at the borders another rounding would give the next bucket. Below one the result is not taken.
        Tensor far = away.clamp_min(1).to(ScalarType.Float32).div(width).log().div(logarithm).mul(rest).to(ScalarType.Int64).add(width).clamp_max(last);
        Tensor buckets = where(away.lt(width), away, far);
        if (!bothWays) return buckets;
        using Scalar half = own;
        return buckets.add(distances.gt(0).to(ScalarType.Int64).mul(half));
    }
}
