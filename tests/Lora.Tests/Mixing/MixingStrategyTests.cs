using Lora.Layers;
using Lora.Mixing;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Mixing;

/// <summary>The ways of mixing compute the same, whichever device chooses which.</summary>
public sealed class MixingStrategyTests : IDisposable
{
    private const int Out = 5;
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly LinearAdapter[] _adapters = [.. new[] { 2, 3, 5 }.Select((rank, i) => Adapter(rank, alpha: rank + 2.6, seed: 10 * i))];

    public static MatrixTheoryData<string, int> Cases => new(["abc", "cab-", "abcabcabc", "aabbcc", "-c-ab--bbac-c-a", "bbbb-cca", "c-bac-bac-ba"], [0, 1, 3]);

    public void Dispose()
    {
        foreach (LoraAdapter adapter in _adapters) adapter.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Super_rank_and_segments_and_strided_rows_agree(string pattern, int tokens)
    {
        using var selection = new RowSelection([.. "abc".Select(letter => new RowGroup(letter.ToString(), Rows(pattern, letter)))], pattern.Length);
        Tensor input = Filled(pattern, tokens, TestModels.In, 1), sum = Filled(pattern, tokens, Out, 2);
        Tensor expected = sum.clone();
        using (no_grad())
            foreach (RowGroup group in selection.Groups)
                foreach (long row in group.Rows) expected[row] += _adapters[group.Name[0] - 'a'].Term(input[row]);

        Tensor segments = RowMixing.BySegments.Add(sum, input, selection, _adapters, inPlace: false);
        Tensor super = LinearMixing.SuperRank(sum, input, selection, _adapters, inPlace: false);
        Adapted.AssertClose(expected, segments);
        Adapted.AssertClose(expected, super);
        Assert.Equal(Gradients(segments), Gradients(super), Same);
        using (no_grad())
        {
            Adapted.AssertClose(expected, LinearMixing.SuperRank(sum.clone(), input, selection, _adapters, inPlace: true));
            Tensor written = sum.clone();
            Assert.Same(written, RowsInPlace.Add(written, input, selection, _adapters));
            Adapted.AssertClose(expected, written);

            // What is kept of a parameter follows its values, and gives way to another parameter.
            foreach (LinearAdapter adapter in _adapters)
            {
                adapter.B.mul_(2);
                adapter.A.mul_(0.5);
                Adapted.AssertSame(adapter.B.t(), adapter.Up);
            }
            Adapted.AssertClose(expected, RowsInPlace.Add(sum.clone(), input, selection, _adapters));
            foreach (LinearAdapter adapter in _adapters) adapter.to(ScalarType.Float64);
            Tensor wide = RowsInPlace.Add(sum.to(ScalarType.Float64), input.to(ScalarType.Float64), selection, _adapters);
            Adapted.AssertClose(expected, wide.to(ScalarType.Float32));
        }
    }

    [Fact]
    public void The_super_rank_takes_adapters_alike_and_not_too_many()
    {
        Assert.True(LinearMixing.SuperRankFits(_adapters));
        Assert.False(LinearMixing.SuperRankFits([.. _adapters, Adapter(504, 1, 60)]));
        Assert.False(LinearMixing.SuperRankFits([.. _adapters, Adapter(2, 1, 60, ScalarType.Float64)]));
        Assert.False(LinearMixing.SuperRankFits([.. _adapters, Adapter(2, 1, 60, dropout: 0.5)]));
    }

    private double[] Gradients(Tensor output)
    {
        foreach (LoraAdapter adapter in _adapters) adapter.zero_grad();
        output.square().sum().backward();
        return [.. _adapters.SelectMany(adapter => new[] { adapter.A, adapter.B }).SelectMany(parameter => parameter.grad!.to(ScalarType.Float64).cpu().data<double>().ToArray())];
    }

    private static bool Same(double a, double b) => Math.Abs(a - b) <= 1e-4 + (1e-5 * Math.Abs(a));

    private static long[] Rows(string pattern, char letter) => [.. Enumerable.Range(0, pattern.Length).Where(i => pattern[i] == letter).Select(i => (long)i)];

    private static Tensor Filled(string pattern, int tokens, int width, int seed) =>
        Noise.Fill(empty(tokens == 0 ? [pattern.Length, width] : [pattern.Length, tokens, width], ScalarType.Float32, TestDevice.Current), seed, 1);

    private static LinearAdapter Adapter(int rank, double alpha, int seed, ScalarType type = ScalarType.Float32, double dropout = 0)
    {
        var adapter = new LinearAdapter("x", TestModels.In, Out, AdapterSettings.Of(rank, alpha, dropout, false), type, TestDevice.Current);
        Noise.Fill(adapter.A, seed, 0.5);
        Noise.Fill(adapter.B, seed + 1, 0.5);
        return adapter;
    }
}
