using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training.Chunked;

public sealed class LinearCrossEntropyTests
{
    private const long None = TrainingExample.IgnoredLabel;
    private const int Rows = 11, Width = 5, Vocabulary = 13;

    private static readonly long[] _labels = [4, None, 12, 0, None, 2, 2, 5, 9, None, 7];

    // The gradients of the plain computation are rounded to the type once as well: half an ulp of the largest of them is the most that they can differ by, where the softmax is computed alike.
    [Theory]
    [InlineData(ScalarType.Float64, 1e-14)]
    [InlineData(ScalarType.Float32, 1e-6)]
    [InlineData(ScalarType.BFloat16, 1e-2)]
    public void Value_and_gradients_are_those_of_the_plain_computation(ScalarType type, double tolerance)
    {
        foreach (bool trained in new[] { true, false })
            foreach (bool biased in new[] { true, false })
                foreach (double? softCap in new double?[] { null, 2.5 })
                    foreach (double? count in new double?[] { null, 5.5 })
                        foreach (int? chunkRows in new int?[] { null, 1, 3, 8, 50 }) Check(trained, biased, softCap, count, chunkRows);

        void Check(bool trained, bool biased, double? softCap, double? count, int? chunkRows)
        {
            using var scope = NewDisposeScope();
            Tensor hidden = Random([Rows, Width], type, 1), weight = Random([Vocabulary, Width], type, 2, trained), labels = Labels(_labels);
            Tensor? bias = biased ? Random([Vocabulary], type, 3, trained) : null;
            Tensor[] leaves = [hidden, .. trained ? new[] { weight, bias }.OfType<Tensor>() : []];
            Tensor plain = Plain(hidden, weight, labels, bias, softCap, count), chunked = LinearCrossEntropy.Compute(hidden, weight, labels, bias, softCap, count, chunkRows);
            Assert.Equal(type == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32, chunked.dtype);
            Assert.Equal(plain.ToDouble(), chunked.ToDouble(), tolerance * 10);
            double[][] wanted = Gradients(plain, leaves), found = Gradients(chunked, leaves);
            Assert.Null(trained ? null : weight.grad);
            for (int i = 0; i < leaves.Length; i++)
            {
                Assert.Contains(wanted[i], number => Math.Abs(number) > 1e-3);
                double error = wanted[i].Zip(found[i], (one, other) => Math.Abs(one - other)).Max(), size = wanted[i].Max(Math.Abs);
                Assert.True(error <= tolerance * size, $"Tensor {i} of {type}, trained {trained}, biased {biased}, cap {softCap}, count {count}, chunk {chunkRows}: {error} of {size}.");
            }
        }
    }

    [Fact]
    public void What_comes_behind_scales_the_gradients_and_two_passes_add_up()
    {
        using var scope = NewDisposeScope();
        Tensor hidden = Random([Rows, Width], ScalarType.Float64, 1), weight = Random([Vocabulary, Width], ScalarType.Float64, 2, true), labels = Labels(_labels);
        double[][] once = Gradients(LinearCrossEntropy.Compute(hidden, weight, labels), [hidden, weight]);
        LinearCrossEntropy.Compute(hidden, weight, labels).mul(-3).backward();
        LinearCrossEntropy.Compute(hidden, weight, labels, chunkRows: 2).backward();
        Tensor[] leaves = [hidden, weight];
        for (int i = 0; i < leaves.Length; i++)
            Assert.All(once[i].Zip(TinyLlama.Values(leaves[i].grad!)), pair => Assert.Equal(-2 * pair.First, pair.Second, 1e-14));
    }

    [Fact]
    public void A_second_backward_through_the_same_graph_gives_the_same()
    {
        using var scope = NewDisposeScope();
        Tensor hidden = Random([Rows, Width], ScalarType.Float64, 1), weight = Random([Vocabulary, Width], ScalarType.Float64, 2, true);
        Tensor loss = LinearCrossEntropy.Compute(hidden, weight, Labels(_labels));
        loss.backward(retain_graph: true);
        double[] once = TinyLlama.Values(weight.grad!);
        loss.backward();
        Assert.All(once.Zip(TinyLlama.Values(weight.grad!)), pair => Assert.Equal(2 * pair.First, pair.Second, 1e-14));
    }

    // In float16 a loss over a million tokens has gradients that vanish; a scale in backward must bring them back.
    [Fact]
    public void A_scaled_loss_keeps_small_gradients_of_float16()
    {
        using var scope = NewDisposeScope();
        Tensor hidden = Random([Rows, Width], ScalarType.Float16, 1), weight = Random([Vocabulary, Width], ScalarType.Float16, 2), labels = Labels(_labels);
        const double Count = 1 << 20, Scale = 1 << 16;
        LinearCrossEntropy.Compute(hidden, weight, labels, learnedTokens: Count).mul(Scale).backward();
        double[] found = TinyLlama.Values(hidden.grad!);
        Tensor exact = hidden.detach().to(ScalarType.Float64).requires_grad_();
        Plain(exact, weight.detach().to(ScalarType.Float64), labels, null, null, Count).mul(Scale).backward();
        double[] wanted = TinyLlama.Values(exact.grad!);
        double size = wanted.Max(Math.Abs);
        Assert.All(wanted.Zip(found), pair => Assert.Equal(pair.First, pair.Second, 4e-3 * size));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Without_labels_the_sum_is_zero_with_a_zero_gradient_and_the_mean_is_no_number(bool trained)
    {
        using var scope = NewDisposeScope();
        Tensor hidden = Random([Rows, Width], ScalarType.Float32, 1), weight = Random([Vocabulary, Width], ScalarType.Float32, 2, trained);
        Tensor labels = full([Rows], None, dtype: ScalarType.Int64, device: TestDevice.Current);
        Tensor sum = LinearCrossEntropy.Compute(hidden, weight, labels, learnedTokens: 7);
        Assert.Equal(0, sum.ToDouble());
        sum.backward();
        Assert.All(TinyLlama.Values(hidden.grad!), value => Assert.Equal(0, value));
        if (trained) Assert.All(TinyLlama.Values(weight.grad!), value => Assert.Equal(0, value));
        Assert.True(double.IsNaN(LinearCrossEntropy.Compute(hidden, weight, labels).ToDouble()));
    }

    [Fact]
    public void Without_gradients_the_value_is_the_same()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor hidden = Random([Rows, Width], ScalarType.Float64, 1), weight = Random([Vocabulary, Width], ScalarType.Float64, 2), labels = Labels(_labels);
        Tensor loss = LinearCrossEntropy.Compute(hidden, weight, labels, softCap: 2, chunkRows: 3);
        Assert.Equal(Plain(hidden, weight, labels, null, 2, null).ToDouble(), loss.ToDouble(), 1e-13);
        Assert.False(loss.requires_grad);
    }

    [Fact]
    public void What_does_not_go_together_is_refused()
    {
        using var scope = NewDisposeScope();
        Tensor hidden = zeros(3, 4), weight = zeros(6, 4), labels = zeros([3], dtype: ScalarType.Int64);
        Assert.Equal(
            "Hidden states [rows, in], a weight [vocabulary, in] and a bias [vocabulary] of one type were expected, but hidden states are Float32 [3, 4], the weight Float64 [6, 5] and the bias Float32 [5].",
            Assert.Throws<ArgumentException>(() => LinearCrossEntropy.Compute(hidden, zeros(6, 5, dtype: ScalarType.Float64), labels, zeros(5))).Message);
        Assert.StartsWith(
            "Labels must be int64 of the shape [3], one for each row, but are Float32 [2].",
            Assert.Throws<ArgumentException>(() => LinearCrossEntropy.Compute(hidden, weight, zeros(2))).Message);
        foreach (long wrong in new[] { 6L, -1L })
        {
            Assert.Equal(
                $"Labels must be tokens from 0 to 5 or -100, but there is {wrong}.",
                Assert.Throws<ArgumentException>(() => LinearCrossEntropy.Compute(hidden, weight, tensor([0L, wrong, None]))).Message);
        }
        Assert.StartsWith("A chunk must have at least 1 row.", Assert.Throws<ArgumentOutOfRangeException>(() => LinearCrossEntropy.Compute(hidden, weight, labels, chunkRows: 0)).Message);
        foreach (double wrong in new[] { 0, -2, double.NaN })
            Assert.StartsWith("A cap must be above 0.", Assert.Throws<ArgumentOutOfRangeException>(() => LinearCrossEntropy.Compute(hidden, weight, labels, softCap: wrong)).Message);
    }

    private static Tensor Plain(Tensor hidden, Tensor weight, Tensor labels, Tensor? bias, double? softCap, double? count)
    {
        Tensor logits = nn.functional.linear(hidden, weight, bias);
        if (softCap is double cap) logits = logits.div(cap).tanh().mul(cap);
        if (logits.dtype != ScalarType.Float64) logits = logits.to(ScalarType.Float32);
        return nn.functional.cross_entropy(logits, labels, reduction: nn.Reduction.Sum).div(count ?? _labels.Count(label => label != None));
    }

    private static double[][] Gradients(Tensor loss, Tensor[] leaves)
    {
        foreach (Tensor leaf in leaves) leaf.grad = null;
        loss.backward();
        double[][] gradients = [.. leaves.Select(leaf => TinyLlama.Values(leaf.grad!))];
        foreach (Tensor leaf in leaves) leaf.grad = null;
        return gradients;
    }

    private static Tensor Random(long[] shape, ScalarType type, ulong seed, bool trained = true)
    {
        using var generator = new Generator(seed);
        return randn(shape, dtype: ScalarType.Float64, generator: generator).to(type).to(TestDevice.Current).requires_grad_(trained);
    }

    private static Tensor Labels(long[] labels) => tensor(labels, device: TestDevice.Current);
}
