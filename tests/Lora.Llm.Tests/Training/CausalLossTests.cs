using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

public sealed class CausalLossTests
{
    private const long None = TrainingExample.IgnoredLabel;

    [Theory]
    [InlineData(ScalarType.Float64, 1e-13)]
    [InlineData(ScalarType.Float32, 1e-6)]
    [InlineData(ScalarType.BFloat16, 1e-6)] // computed in float32 of the rounded logits
    public void The_loss_is_that_of_the_restatement(ScalarType type, double tolerance)
    {
        using var scope = NewDisposeScope();
        Tensor logits = Logits(type), labels = Labels(4, None, 6, 0, None, 2, 2, 5);
        double wanted = Restated(TinyLlama.Values(logits), [4, None, 6, 0, None, 2, 2, 5], out int learned);
        Assert.Equal(5, learned);
        Tensor mean = CausalLoss.Compute(logits, labels), part = CausalLoss.Compute(logits, labels, learnedTokens: 9);
        Assert.Empty(mean.shape);
        Assert.Equal(type == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32, mean.dtype);
        Assert.Equal(wanted / 5, mean.ToDouble(), tolerance * wanted);
        Assert.Equal(wanted / 9, part.ToDouble(), tolerance * wanted);
    }

    [Fact]
    public void The_gradient_is_that_of_finite_differences()
    {
        using var scope = NewDisposeScope();
        Tensor logits = Logits(ScalarType.Float64).requires_grad_(), labels = Labels(4, None, 6, 0, None, 2, 2, 5);
        CausalLoss.Compute(logits, labels).backward();
        double[] found = TinyLlama.Values(logits.grad!), at = TinyLlama.Values(logits);
        const double h = 1e-6;
        for (int i = 0; i < at.Length; i++)
        {
            double Moved(double by)
            {
                double[] moved = [.. at];
                moved[i] += by;
                return Restated(moved, [4, None, 6, 0, None, 2, 2, 5], out int learned) / learned;
            }
            Assert.Equal((Moved(h) - Moved(-h)) / (2 * h), found[i], 1e-9);
        }
    }

    [Fact]
    public void Without_labels_the_sum_is_zero_with_a_zero_gradient_and_the_mean_is_no_number()
    {
        using var scope = NewDisposeScope();
        // The first place has a label, which nothing predicts.
        Tensor logits = Logits(ScalarType.Float32).requires_grad_(), labels = Labels(4, None, None, None, 3, None, None, None);
        Tensor sum = CausalLoss.Compute(logits, labels, learnedTokens: 7);
        Assert.Equal(0, sum.ToDouble());
        sum.backward();
        Assert.All(TinyLlama.Values(logits.grad!), value => Assert.Equal(0, value));
        Assert.True(double.IsNaN(CausalLoss.Compute(logits, labels).ToDouble()));
    }

    [Fact]
    public void Shapes_that_do_not_go_together_are_refused()
    {
        using var scope = NewDisposeScope();
        Tensor logits = Logits(ScalarType.Float32);
        var error = Assert.Throws<ArgumentException>(() => CausalLoss.Compute(logits, zeros([2, 3], dtype: ScalarType.Int64)));
        Assert.Equal("Logits of the shape [batch, length, vocabulary] and int64 labels of the shape [batch, length] were expected, but logits are Float32 [2, 4, 7] and labels Int64 [2, 3].", error.Message);
    }

    private static Tensor Logits(ScalarType type)
    {
        using var generator = new Generator(4);
        return randn([2, 4, 7], dtype: ScalarType.Float64, generator: generator).mul(3).to(type).to(TestDevice.Current);
    }

    private static Tensor Labels(params long[] labels) => tensor(labels, [2, 4], device: TestDevice.Current);

    // The sum over all places of −log softmax(logits)[label of the next place].
    private static double Restated(double[] logits, long[] labels, out int learned)
    {
        double sum = 0;
        learned = 0;
        foreach (int row in new[] { 0, 4 })
        {
            for (int i = row; i < row + 3; i++)
            {
                if (labels[i + 1] == None) continue;
                double[] scores = logits[(i * 7)..(i * 7 + 7)];
                sum += Math.Log(scores.Sum(s => Math.Exp(s))) - scores[labels[i + 1]];
                learned++;
            }
        }
        return sum;
    }
}
