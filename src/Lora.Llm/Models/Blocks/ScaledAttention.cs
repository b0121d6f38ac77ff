using Lora.Llm.Blocks.Passes;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>
/// Softmax attention with grouped queries: several query heads share one key and value head (Ainslie et al. 2023). Whatever projects queries, keys and values
/// and turns them by their positions, this mixes them.
/// </summary>
/// <param name="Heads">The number of query heads.</param>
/// <param name="KeyValueHeads">The number of key and value heads.</param>
/// <param name="HeadDimension">The width of a head.</param>
/// <param name="Scale">What the products of queries and keys are multiplied with.</param>
internal sealed record ScaledAttention(int Heads, int KeyValueHeads, int HeadDimension, double Scale)
{
    /// <summary>The cap that the scores are bent under, c · tanh(s / c) (Gemma Team 2024); null for none.</summary>
    internal double? SoftCap { get; init; }

    /// <summary>The share of the weights that training drops.</summary>
    internal double Dropout { get; init; }

    /// <summary>Whether queries and keys are multiplied in float32 where the model computes in half of it.</summary>
    internal bool Upcasts { get; init; }

    /// <summary>Whether it is computed in blocks of rows where tokens see each other in the plain way.</summary>
    /// <param name="training">Whether weights are dropped.</param>
    internal bool TakesBlocks(bool training) => SoftCap is null && !(training && Dropout > 0);

    /// <summary>Turns queries or keys by their positions.</summary>
    /// <param name="projected">Shape <c>[batch, length, heads · d]</c>; may be a view.</param>
    /// <param name="context">The tables.</param>
    /// <returns>A tensor of the same shape.</returns>
    internal Tensor Turn(Tensor projected, AttentionContext context) =>
        context.Rows is RowRotation rows ? rows.Apply(projected) : RotaryPositions.Rotate(Split(projected), context.Rotation).transpose(1, 2).flatten(2);

    // From [batch, length, heads · d] to [batch, heads, length, d].
    private Tensor Split(Tensor projected) => projected.unflatten(2, projected.shape[2] / HeadDimension, HeadDimension).transpose(1, 2);

    /// <summary>Mixes the values of what each token may look at.</summary>
    /// <param name="queries">Shape <c>[batch, length, heads · d]</c>; may be a view, as the others.</param>
    /// <param name="keys">Shape <c>[batch, length, key-value heads · d]</c>; the cache's come before them.</param>
    /// <param name="values">The same shape.</param>
    /// <param name="context">Cache, reach and mask.</param>
    /// <param name="training">Whether weights are dropped.</param>
    /// <returns>Shape <c>[batch, length, heads · d]</c>.</returns>
    internal Tensor Mix(Tensor queries, Tensor keys, Tensor values, AttentionContext context, bool training)
    {
        using var scope = NewDisposeScope();
        if (context.Causal is CausalReach reach) return InBlocks(queries, keys, values, reach).MoveToOuterDisposeScope();
        return Whole(Split(queries), Split(keys), Split(values), context, training).MoveToOuterDisposeScope();
    }

    private Tensor InBlocks(Tensor queries, Tensor keys, Tensor values, CausalReach reach)
    {
        var blocks = new CausalBlocks(this, reach);
        return is_grad_enabled() && (queries.requires_grad || keys.requires_grad || values.requires_grad)
            ? CausalFunction.apply(blocks, queries, keys, values)
            : blocks.Forward(queries, keys, values, null);
    }

    /// <summary>The same with all scores in one matrix for each head.</summary>
    /// <param name="queries">Shape <c>[batch, heads, length, d]</c>.</param>
    /// <param name="keys">Shape <c>[batch, key-value heads, length, d]</c>; the cache's come before them.</param>
    /// <param name="values">The same shape.</param>
    /// <param name="context">Cache, reach and mask.</param>
    /// <param name="training">Whether weights are dropped.</param>
    /// <returns>Shape <c>[batch, length, heads · d]</c>.</returns>
    private Tensor Whole(Tensor queries, Tensor keys, Tensor values, AttentionContext context, bool training)
    {
        long batch = queries.shape[0], length = queries.shape[2];
        int groups = Heads / KeyValueHeads;
        ScalarType type = queries.dtype, precise = type == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        if (context.Cache is not null) (keys, values) = context.Cache.Append(context.Layer, keys, values);

        // What no token looks at any more costs nothing.
        long seen = context.Seen, hidden = keys.shape[2] - seen;
        if (hidden > 0) (keys, values) = (keys.narrow(2, hidden, seen), values.narrow(2, hidden, seen));
        if (Upcasts) (queries, keys) = (queries.to(precise), keys.to(precise));

        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar scale = Scale, lowest = AttentionMask.Lowest(queries.dtype);
        // The queries of a group lie one below the other, so that keys and values need not be repeated.
        // The scale goes into the queries, which are narrower than the scores.
        Tensor grouped = queries.mul(scale).reshape(batch, KeyValueHeads, groups * length, HeadDimension);
        Tensor scores = SoftCaps.Apply(grouped.matmul(keys.transpose(2, 3)), SoftCap);
        if (context.Forbidden is not null)
        {
            scores = scores.view(batch, Heads, length, seen).masked_fill(context.Forbidden, lowest)
                .view(batch, KeyValueHeads, groups * length, seen);
        }
        // In float32 whatever the model's type, as in transformers.
        Tensor weights = Dropouts.Apply(nn.functional.softmax(scores, -1, precise).to(type), Dropout, training);
        return weights.matmul(values).view(batch, Heads, length, HeadDimension).transpose(1, 2).reshape(batch, length, Heads * HeadDimension);
    }

    /// <summary>What <see cref="CausalBlocks"/> computes, by one operator after the other over whole matrices.</summary>
    /// <param name="queries">As in <see cref="Mix"/>.</param>
    /// <param name="keys">As in <see cref="Mix"/>.</param>
    /// <param name="values">As in <see cref="Mix"/>.</param>
    /// <param name="reach">Where there is padding.</param>
    internal Tensor ByOperators(Tensor queries, Tensor keys, Tensor values, CausalReach reach)
    {
        long length = queries.shape[1];
        Tensor forbidden = ones([length, length], dtype: ScalarType.Bool, device: queries.device).triu(1).reshape(1, 1, length, length);
        if (reach.Padding is Tensor padding)
        {
            Tensor none = zeros([padding.shape[0], reach.FirstPadded], dtype: ScalarType.Bool, device: padding.device);
            forbidden = forbidden.logical_or(cat([none, padding.ne(0)], 1).unsqueeze(1).unsqueeze(1));
        }
        return Whole(Split(queries), Split(keys), Split(values), new AttentionContext(length, forbidden, null), training: false);
    }
}
