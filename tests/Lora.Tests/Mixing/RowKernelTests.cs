using System.Runtime.Intrinsics;
using Lora.Layers;
using Lora.Mixing;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Mixing;

/// <summary>The arithmetic of the library's own for small batches, in both widths, against the formula in float64.</summary>
public sealed class RowKernelTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    // in, out, rank, samples in all, tokens, those that use the adapter: single rows, pairs, odd numbers, more than a block, and every remainder of a vector
    public static TheoryData<int, int, int, int, int, long[]> Cases => new()
    {
        { 1, 1, 1, 1, 1, [0] },
        { 7, 5, 2, 4, 1, [3] },
        { 16, 16, 4, 4, 1, [0, 2] },
        { 37, 150, 3, 5, 1, [0, 3, 4] },
        { 70, 64, 9, 3, 3, [2, 1] },
        { 33, 131, 6, 2, 70, [0, 1] },
        { 129, 300, 5, 140, 1, [.. Enumerable.Range(0, 131).Select(i => (long)(139 - i))] },
    };

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Eight_at_a_time(int inWidth, int outWidth, int rank, int samples, int tokens, long[] used) =>
        Check<EightWide, Vector256<float>>(inWidth, outWidth, rank, samples, tokens, used);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Sixteen_at_a_time(int inWidth, int outWidth, int rank, int samples, int tokens, long[] used) =>
        Check<SixteenWide, Vector512<float>>(inWidth, outWidth, rank, samples, tokens, used);

    [Fact]
    public void What_it_cannot_do_is_left_alone()
    {
        using var noGrad = no_grad();
        using LinearAdapter adapter = Adapter(), dropping = Adapter(dropout: 0.5), wide = Adapter(type: ScalarType.Float64);
        using var selection = new RowSelection([new RowGroup("x", [1])], 2);
        Tensor sum = zeros(2, 5), input = ones(2, 7);
        Assert.False(RowsInCode.TryAdd(zeros(2, 5, dtype: ScalarType.Float64), input, selection, [adapter]));
        Assert.False(RowsInCode.TryAdd(zeros(5, 2).t(), input, selection, [adapter]));
        Assert.False(RowsInCode.TryAdd(zeros(2, 4), input, selection, [adapter]));
        Assert.False(RowsInCode.TryAdd(sum, ones(2, 6), selection, [adapter]));
        Assert.False(RowsInCode.TryAdd(sum, ones(3, 7), selection, [adapter]));
        Assert.False(RowsInCode.TryAdd(zeros(5), ones(7), selection, [adapter]));
        Assert.False(RowsInCode.TryAdd(sum, input, selection, [dropping]));
        Assert.False(RowsInCode.TryAdd(sum, input, selection, [wide]));
        Adapted.AssertSame(zeros(2, 5), sum);

        dropping.eval();
        Tensor expected = cat([zeros(1, 5), adapter.Term(input.narrow(0, 1, 1)).add(dropping.Term(input.narrow(0, 1, 1)))], 0);
        Assert.True(RowsInCode.TryAdd(sum, input.to(ScalarType.Float64), selection, [adapter]));
        Assert.True(RowsInCode.TryAdd(sum, ones(7, 2).t(), selection, [dropping]));
        Adapted.AssertClose(expected, sum);
    }

    private static void Check<TWidth, TVector>(int inWidth, int outWidth, int rank, int samples, int tokens, long[] used)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct
    {
        const double scale = 1.3;
        float[] y = Numbers(samples * tokens * outWidth, 1), x = Numbers(samples * tokens * inWidth, 2), a = Numbers(rank * inWidth, 3), b = Numbers(outWidth * rank, 4);
        double[] expected = [.. y.Select(value => (double)value)];
        foreach (int row in used.SelectMany(sample => Enumerable.Range((int)sample * tokens, tokens)))
        {
            double[] narrow = [.. Enumerable.Range(0, rank).Select(k => scale * Enumerable.Range(0, inWidth).Sum(i => (double)x[(row * inWidth) + i] * a[(k * inWidth) + i]))];
            for (int column = 0; column < outWidth; column++) expected[(row * outWidth) + column] += Enumerable.Range(0, rank).Sum(k => narrow[k] * b[(column * rank) + k]);
        }
        float[] before = [.. y], scratch = new float[RowKernel<TWidth, TVector>.ScratchFor(rank)];
        Array.Fill(scratch, float.NaN);
        RowKernel<TWidth, TVector>.Add(y, x, a, b, rank, scale, used, tokens, scratch);
        for (int i = 0; i < y.Length; i++)
        {
            if (used.Contains(i / outWidth / tokens)) Assert.Equal(expected[i], y[i], 1e-5 * (1 + Math.Abs(expected[i])));
            else Assert.Equal(before[i], y[i]);
        }
    }

    private static float[] Numbers(int count, int seed)
    {
        using var scope = NewDisposeScope();
        return Noise.Fill(empty(count, ScalarType.Float32), seed, 1).data<float>().ToArray();
    }

    private static LinearAdapter Adapter(double dropout = 0, ScalarType type = ScalarType.Float32)
    {
        var adapter = new LinearAdapter("x", 7, 5, AdapterSettings.Of(2, 3, dropout, false), type, CPU);
        Noise.Fill(adapter.A, 5, 0.5);
        Noise.Fill(adapter.B, 6, 0.5);
        return adapter;
    }
}
