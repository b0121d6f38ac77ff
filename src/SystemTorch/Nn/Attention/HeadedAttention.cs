using System.Runtime.InteropServices;
using TorchSharp.Interop;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>The tensors of a multi-head attention; absent ones are null.</summary>
internal readonly record struct AttentionWeights(
    Tensor InProjection, Tensor Query, Tensor Key, Tensor Value, Tensor InBias, Tensor KeyBias, Tensor ValueBias, Tensor Out, Tensor OutBias);

/// <summary>Multi-head attention over inputs of the form [length, batch, features], from plain operators.</summary>
internal static class HeadedAttention
{
    /// <summary>The output, and, when asked for, the weights averaged over the heads, [batch, length, source length]; otherwise null.</summary>
    internal static (Tensor Output, Tensor Weights) Forward(
        Tensor query, Tensor key, Tensor value, in AttentionWeights weights, long heads, double dropout, bool training, bool addZero, Tensor paddingMask,
        bool needWeights, Tensor mask)
    {
        using DisposeScope scope = NewDisposeScope();
        RequireThree(query, nameof(query));
        RequireThree(key, nameof(key));
        RequireThree(value, nameof(value));
        long[] shape = query.shape;
        long length = shape[0], batch = shape[1], features = shape[2], size = features / heads;

        Tensor q = Ops.Tensor("mul.Scalar", Project(query, 0, weights.Query, weights), 1 / Math.Sqrt(size));
        Tensor k = Project(key, 1, weights.Key, weights), v = Project(value, 2, weights.Value, weights);
        mask = Addend(mask, batch, heads, q.dtype);
        if (weights.KeyBias is not null)
        {
            k = Ops.Tensor("cat", new[] { k, Ops.Tensor("repeat", weights.KeyBias, new[] { 1, batch, 1 }) }, 0);
            v = Ops.Tensor("cat", new[] { v, Ops.Tensor("repeat", weights.ValueBias, new[] { 1, batch, 1 }) }, 0);
            mask = Widened(mask);
            paddingMask = Widened(paddingMask);
        }
        q = Split(q, heads, size);
        k = Split(k, heads, size);
        v = Split(v, heads, size);
        if (addZero)
        {
            k = Ops.Tensor("constant_pad_nd", k, new long[] { 0, 0, 0, 1 }, 0L);
            v = Ops.Tensor("constant_pad_nd", v, new long[] { 0, 0, 0, 1 }, 0L);
            mask = Widened(mask);
            paddingMask = Widened(paddingMask);
        }

        Tensor scores = Ops.Tensor("matmul", q, Ops.Tensor("transpose.int", k, -2, -1));
        if (mask is not null) scores = Ops.Tensor("add.Tensor", scores, mask);
        if (paddingMask is not null)
        {
            Tensor padding = Ops.Tensor("reshape", paddingMask, new[] { batch, 1, 1, paddingMask.size(-1) });
            scores = Ops.Tensor("masked_fill.Scalar", scores, padding, double.NegativeInfinity);
        }
        Tensor attention = nn.functional.softmax(scores, -1);
        Tensor kept = dropout > 0 && training ? Ops.Tensor("dropout", attention, dropout, true) : attention;
        Tensor mixed = Ops.Tensor("matmul", kept, v);
        mixed = Ops.Tensor("reshape", Ops.Tensor("permute", mixed, new long[] { 2, 0, 1, 3 }), new[] { length, batch, features });
        Tensor output = nn.functional.linear(mixed, weights.Out, weights.OutBias);
        if (!needWeights) return (scope.MoveToOuter(output), null);
        // After dropout, as libtorch gives them.
        return scope.MoveToOuter(output, Ops.Tensor("mean.dim", kept, new long[] { 1 }));
    }

    // What libtorch itself would refuse, before anything is indexed here.
    private static void RequireThree(Tensor input, string name)
    {
        if (input.Dimensions != 3)
            throw new ExternalException($"attention takes a {name} of the form [length, batch, features], but got one of {input.Dimensions} dimensions: [{string.Join(", ", input.shape)}]");
    }

    private static Tensor Project(Tensor input, int third, Tensor own, in AttentionWeights weights)
    {
        Tensor bias = weights.InBias is null ? null : Third(weights.InBias, third);
        return nn.functional.linear(input, own ?? Third(weights.InProjection, third), bias);
    }

    private static Tensor Third(Tensor tensor, int third)
    {
        long rows = tensor.size(0) / 3;
        return Ops.Tensor("narrow", tensor, 0, third * rows, rows);
    }

    // [length, batch, features] to [batch, heads, length, size]
    private static Tensor Split(Tensor tensor, long heads, long size)
    {
        long[] shape = tensor.shape;
        return Ops.Tensor("permute", Ops.Tensor("reshape", tensor, new[] { shape[0], shape[1], heads, size }), new long[] { 1, 2, 0, 3 });
    }

    /// <summary>
    /// The mask as it is added to scores of the form [batch, heads, length, source length]. libtorch's C++ module adds a mask of truth values too, as zeros
    /// and ones: only one of floats with -inf hides anything.
    /// </summary>
    private static Tensor Addend(Tensor mask, long batch, long heads, ScalarType type)
    {
        if (mask is null) return null;
        Tensor addend = Ops.Tensor("to.dtype", mask, type);
        return mask.Dimensions == 3 ? Ops.Tensor("reshape", addend, new[] { batch, heads, mask.size(1), mask.size(2) }) : addend;
    }

    // One more source position, which nothing hides.
    private static Tensor Widened(Tensor mask) => mask is null ? null : Ops.Tensor("constant_pad_nd", mask, new long[] { 0, 1 }, 0L);
}
