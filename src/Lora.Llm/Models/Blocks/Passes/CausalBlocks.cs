using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>
/// Causal softmax attention in blocks of rows, each multiplied with the keys up to its end: half of the scores of a long text are never computed. The weights are kept for the way back, where
/// one product gives their gradient together with what softmax takes off it: dS = P · (dO·Vᵀ − Σ dO·O), the sum over a row being the last column of [dO, −Σ]·[V, 1]ᵀ.
/// </summary>
/// <param name="attention">The heads and the scale.</param>
/// <param name="reach">Where there is padding.</param>
internal sealed class CausalBlocks(ScaledAttention attention, CausalReach reach)
{
    // An eighth of the text at a time, as far as products of that height are still fast.
    private const long LeastRows = 40, MostRows = 128, Parts = 8;

    /// <summary>Where there is padding. Its tensor is freed behind the forward pass.</summary>
    internal CausalReach Reach => reach;

    private readonly int _groups = attention.Heads / attention.KeyValueHeads;

    /// <summary>Mixes the values of what each token looks at, without a graph.</summary>
    /// <param name="queries">Shape <c>[batch, length, heads · d]</c>; may be a view, as the others.</param>
    /// <param name="keys">Shape <c>[batch, length, key-value heads · d]</c>.</param>
    /// <param name="values">The same shape.</param>
    /// <param name="weights">Takes the weights of each block, shape <c>[batch · key-value heads, rows · groups, seen]</c>; null lets them go.</param>
    /// <returns>Shape <c>[batch, length, heads · d]</c>, in the current dispose scope.</returns>
    internal Tensor Forward(Tensor queries, Tensor keys, Tensor values, List<Tensor>? weights)
    {
        long batch = queries.shape[0], length = queries.shape[1];
        Tensor output = empty(queries.shape, dtype: queries.dtype, device: queries.device);
        using var scope = NewDisposeScope();
        using Scalar scale = attention.Scale;
        (Tensor q, Tensor k, Tensor v) = (ByHead(queries.mul(scale), _groups), ByHead(keys, 1), ByHead(values, 1));
        Tensor cut = output.view(batch, length, attention.KeyValueHeads, _groups, attention.HeadDimension), ahead = Ahead(queries);
        foreach ((long start, long rows) in Blocks(length))
        {
            using var block = NewDisposeScope();
            long seen = start + rows;
            Tensor scores = q.narrow(1, start * _groups, rows * _groups).bmm(k.narrow(1, 0, seen).transpose(1, 2));
            scores.view(-1, rows, _groups, seen).narrow(3, start, rows).add_(ahead.narrow(0, 0, rows).narrow(2, 0, rows));
            if (reach.FirstPadded < seen)
                scores.view(batch, -1, seen).narrow(2, reach.FirstPadded, seen - reach.FirstPadded).add_(reach.Padding!.narrow(1, 0, seen - reach.FirstPadded).unsqueeze(1));
            Tensor shares = scores.softmax(-1);
            scores.Dispose();
            Put(cut, start, rows, shares.bmm(v.narrow(1, 0, seen)));
            // Two scopes up: what is kept is the caller's.
            if (weights is not null) weights.Add(shares.MoveToOuterDisposeScope().MoveToOuterDisposeScope());
        }
        return output;
    }

    /// <summary>The gradients of queries, keys and values.</summary>
    /// <param name="queries">As in <see cref="Forward"/>.</param>
    /// <param name="keys">As in <see cref="Forward"/>.</param>
    /// <param name="values">As in <see cref="Forward"/>.</param>
    /// <param name="output">What <see cref="Forward"/> has returned.</param>
    /// <param name="weights">The weights of the blocks.</param>
    /// <param name="gradient">The gradient of the output.</param>
    /// <returns>Tensors in the current dispose scope.</returns>
    internal (Tensor Queries, Tensor Keys, Tensor Values) Backward(Tensor queries, Tensor keys, Tensor values, Tensor output, IReadOnlyList<Tensor> weights, Tensor gradient)
    {
        long batch = queries.shape[0], length = queries.shape[1];
        Tensor ofQueries = empty(queries.shape, dtype: queries.dtype, device: queries.device);
        using var scope = NewDisposeScope();
        using Scalar scale = attention.Scale;
        (Tensor q, Tensor k, Tensor g) = (ByHead(queries.mul(scale), _groups), ByHead(keys, 1), ByHead(gradient, _groups));
        Tensor taken = g.mul(ByHead(output, _groups)).sum([-1L], keepdim: true).neg_();
        Tensor values1 = ByHead(values, 1);
        Tensor wide = cat([g, taken], -1), v = cat([values1, ones([values1.shape[0], length, 1], dtype: values.dtype, device: values.device)], -1);
        Tensor cut = ofQueries.view(batch, length, attention.KeyValueHeads, _groups, attention.HeadDimension);
        Tensor? ofKeys = null, ofValues = null;
        // From the end: its products have the whole length, and the others are added to them.
        foreach (((long start, long rows), Tensor shares) in Blocks(length).Zip(weights).Reverse())
        {
            using var block = NewDisposeScope();
            long seen = start + rows, from = start * _groups, count = rows * _groups;
            Add(ref ofValues, shares.transpose(1, 2).bmm(g.narrow(1, from, count)));
            Tensor ofScores = wide.narrow(1, from, count).bmm(v.narrow(1, 0, seen).transpose(1, 2)).mul_(shares);
            Put(cut, start, rows, ofScores.bmm(k.narrow(1, 0, seen)));
            Add(ref ofKeys, ofScores.transpose(1, 2).bmm(q.narrow(1, from, count)));
        }
        ofQueries.mul_(scale);
        return (ofQueries, ByRow(ofKeys!, batch).MoveToOuterDisposeScope(), ByRow(ofValues!, batch).MoveToOuterDisposeScope());

        static void Add(ref Tensor? sum, Tensor part)
        {
            if (sum is null) sum = part.MoveToOuterDisposeScope();
            else sum.narrow(1, 0, part.shape[1]).add_(part);
        }
    }

    /// <summary>The number of scores that one head of a text computes.</summary>
    /// <param name="length">The text's length.</param>
    internal static long Scores(long length) => Blocks(length).Sum(block => block.Rows * (block.Start + block.Rows));

    /// <summary>The same by one operator after the other.</summary>
    internal Tensor ByOperators(Tensor queries, Tensor keys, Tensor values, Tensor? padding) => attention.ByOperators(queries, keys, values, reach with { Padding = padding });

    private static IEnumerable<(long Start, long Rows)> Blocks(long length)
    {
        long rows = Math.Clamp((length + Parts - 1) / Parts, LeastRows, MostRows);
        for (long start = 0; start < length; start += rows) yield return (start, Math.Min(rows, length - start));
    }

    // −∞ where a row of a block would look ahead of itself, shape [rows, 1, rows].
    private static Tensor Ahead(Tensor like)
    {
        (long _, long rows) = Blocks(like.shape[1]).First();
        return full([rows, rows], double.NegativeInfinity, dtype: like.dtype, device: like.device).triu(1).unsqueeze(1);
    }

    // The rows of a head below each other: [batch · key-value heads, length · groups, d], where the queries that share a key lie side by side.
    private Tensor ByHead(Tensor rows, int groups) => rows.unflatten(2, attention.KeyValueHeads, groups, attention.HeadDimension).permute(0, 2, 1, 3, 4)
        .reshape(rows.shape[0] * attention.KeyValueHeads, rows.shape[1] * groups, attention.HeadDimension);

    private static Tensor ByRow(Tensor heads, long batch) => heads.unflatten(0, batch, heads.shape[0] / batch).transpose(1, 2).flatten(2);

    private void Put(Tensor cut, long start, long rows, Tensor heads) => cut.narrow(1, start, rows)
        .copy_(heads.view(cut.shape[0], attention.KeyValueHeads, rows, _groups, attention.HeadDimension).permute(0, 2, 1, 3, 4));
}
