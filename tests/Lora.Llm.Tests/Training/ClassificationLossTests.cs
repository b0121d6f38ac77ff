using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

/// <summary>The losses of classifiers and their gradients, against the formulas written down again over plain numbers.</summary>
public sealed class ClassificationLossTests
{
    private static readonly double[,] _logits = { { 1.5, -0.25, 0.75 }, { -2, 40, 0.125 }, { 0, 3, -35 }, { 0.5, 0.25, -1 } };

    [Fact]
    public void Several_labels_at_once()
    {
        double[,] labels = { { 1, 0, 1 }, { 0, 1, 0 }, { 0.25, 0, 1 }, { 0, 0, 0 } };
        // −[y ln σ(x) + (1 − y) ln(1 − σ(x))] = max(x, 0) − xy + ln(1 + e^−|x|), the mean over all of them; its slope is (σ(x) − y) / n.
        double wanted = 0;
        double[] slopes = new double[12];
        Each((row, column, x) =>
        {
            double y = labels[row, column];
            wanted += (Math.Max(x, 0) - (x * y) + Math.Log(1 + Math.Exp(-Math.Abs(x)))) / 12;
            slopes[(3 * row) + column] = ((1 / (1 + Math.Exp(-x))) - y) / 12;
        });
        Check(wanted, slopes, tensor(labels), ProblemType.MultiLabel);
        // Without a problem's name the labels' type tells.
        Check(wanted, slopes, tensor(labels), null);
        Check(wanted, slopes, tensor(labels).to(ScalarType.Float32), ProblemType.MultiLabel);
    }

    [Fact]
    public void Numbers_of_several_columns()
    {
        double[,] labels = { { 1, 0, 1 }, { -3, 2.5, 0 }, { 0.25, 0, 1 }, { 7, 0, 0 } };
        double wanted = 0;
        double[] slopes = new double[12];
        Each((row, column, x) =>
        {
            wanted += Math.Pow(x - labels[row, column], 2) / 12;
            slopes[(3 * row) + column] = 2 * (x - labels[row, column]) / 12;
        });
        Check(wanted, slopes, tensor(labels), ProblemType.Regression);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Numbers_of_one_column(bool isFlat)
    {
        using var scope = NewDisposeScope();
        double[] x = [1.5, -2, 0.25], y = [1, 1, -0.5];
        Tensor logits = tensor(x, [3, 1], device: TestDevice.Current).requires_grad_(true), labels = tensor(y, isFlat ? [3] : [3, 1], device: TestDevice.Current);
        Tensor loss = ClassificationLoss.Compute(logits, labels);
        loss.backward();
        Assert.Equal(x.Zip(y).Sum(pair => Math.Pow(pair.First - pair.Second, 2)) / 3, loss.ToDouble(), 1e-14);
        Assert.All(x.Zip(y).Zip(TinyValues(logits.grad!)), trio => Assert.Equal(2 * (trio.First.First - trio.First.Second) / 3, trio.Second, 1e-14));
        // Whole numbers are labels of a regression too, where there is one column.
        Assert.Equal(x.Zip([1L, 2, 3]).Sum(pair => Math.Pow(pair.First - pair.Second, 2)) / 3, ClassificationLoss.Compute(logits, tensor(new long[] { 1, 2, 3 }, device: TestDevice.Current)).ToDouble(), 1e-14);
    }

    [Fact]
    public void One_label_of_several_where_some_rows_have_none()
    {
        long[] labels = [2, -100, 1, 0];
        double wanted = 0;
        double[] slopes = new double[12];
        for (int row = 0; row < 4; row++)
        {
            if (labels[row] < 0) continue;
            double largest = Enumerable.Range(0, 3).Max(column => _logits[row, column]), sum = Enumerable.Range(0, 3).Sum(column => Math.Exp(_logits[row, column] - largest));
            wanted += (largest + Math.Log(sum) - _logits[row, labels[row]]) / 3;
            for (int column = 0; column < 3; column++) slopes[(3 * row) + column] = ((Math.Exp(_logits[row, column] - largest) / sum) - (column == labels[row] ? 1 : 0)) / 3;
        }
        Check(wanted, slopes, tensor(labels), null);
        Check(wanted, slopes, tensor(labels), ProblemType.SingleLabel);
    }

    [Theory]
    [InlineData(ProblemType.SingleLabel, "The labels of SingleLabel for logits [4, 3] must be int64 [4], but are Float64 [4, 2].")]
    [InlineData(ProblemType.MultiLabel, "The labels of MultiLabel for logits [4, 3] must be numbers [4, 3], but are Float64 [4, 2].")]
    [InlineData(ProblemType.Regression, "The labels of Regression for logits [4, 3] must be numbers [4, 3], but are Float64 [4, 2].")]
    public void Labels_that_would_broadcast_are_refused(ProblemType problem, string text)
    {
        using var scope = NewDisposeScope();
        Assert.Equal(text, Assert.Throws<ArgumentException>(() => ClassificationLoss.Compute(tensor(_logits), zeros([4, 2], dtype: ScalarType.Float64), problem)).Message);
        Assert.Equal(
            "The labels of Regression for logits [2, 1] must be numbers [2], but are Float32 [3].",
            Assert.Throws<ArgumentException>(() => ClassificationLoss.Compute(zeros(2, 1), zeros(3))).Message);
    }

    // On a GPU such a label would end the process.
    [Theory]
    [InlineData(3L)]
    [InlineData(-1L)]
    public void A_label_that_is_no_class_is_named(long label)
    {
        using var scope = NewDisposeScope();
        string text = $"Labels must be classes from 0 to 2 or -100, but there is {label}.";
        Tensor labels = tensor(new[] { 0L, -100, label });
        Assert.Equal(text, Assert.Throws<ArgumentException>(() => ClassificationLoss.Compute(zeros(3, 3), labels)).Message);
        Assert.Equal(text, Assert.Throws<ArgumentException>(() => ClassificationLoss.OfTokens(zeros(1, 3, 3), labels.unsqueeze(0))).Message);
        Assert.Equal(Math.Log(3), ClassificationLoss.Compute(zeros(2, 3), labels.narrow(0, 0, 2)).ToDouble(), 1e-6);
    }

    private static void Check(double wanted, double[] slopes, Tensor labels, ProblemType? problem)
    {
        using var scope = NewDisposeScope();
        using Tensor given = labels.to(TestDevice.Current);
        Tensor logits = tensor(_logits, device: TestDevice.Current).requires_grad_(true);
        Tensor loss = ClassificationLoss.Compute(logits, given, problem);
        loss.backward();
        Assert.Equal(wanted, loss.ToDouble(), 1e-13 * Math.Max(1, wanted));
        Assert.All(slopes.Zip(TinyValues(logits.grad!)), pair => Assert.Equal(pair.First, pair.Second, 1e-14));
        // Half precision is computed in float32.
        Tensor narrow = ClassificationLoss.Compute(tensor(_logits, device: TestDevice.Current).to(ScalarType.BFloat16), given, problem);
        Assert.Equal(ScalarType.Float32, narrow.dtype);
        Assert.Equal(wanted, narrow.ToDouble(), 1e-6 * Math.Max(1, wanted));
        labels.Dispose();
    }

    private static void Each(Action<int, int, double> action)
    {
        for (int row = 0; row < 4; row++)
            for (int column = 0; column < 3; column++) action(row, column, _logits[row, column]);
    }

    private static double[] TinyValues(Tensor tensor) => Models.TinyLlama.Values(tensor);
}
