using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Optim;

public sealed class ClippingTests
{
    [Theory]
    [InlineData(1.0, 3 + 4 + 12.0)]
    [InlineData(2.0, 13.0)]
    [InlineData(double.PositiveInfinity, 12.0)]
    public void TheNormIsThatOfAllGradientsTogether(double order, double expected)
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter a = new(zeros(2)), b = new(zeros(1, ScalarType.Float64)), without = new(zeros(5));
        (a.grad, b.grad) = (tensor(new float[] { 3, -4 }), tensor(new double[] { 12 }));

        double norm = nn.utils.clip_grad_norm_([a, without, b], 1, order);

        Assert.Equal(expected, norm, 1e-5);
        Assert.Equal(-4 / expected, a.grad.data<float>()[1], 1e-5);
        Assert.Equal(12 / expected, b.grad.data<double>()[0], 1e-5);
        Assert.Null(without.grad);
    }

    [Fact]
    public void ASmallNormChangesNothing()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter a = new(zeros(2));
        a.grad = tensor(new float[] { 3, -4 });
        Assert.Equal(5, nn.utils.clip_grad_norm_([a], 5.1), 1e-6);
        Assert.Equal(new float[] { 3, -4 }, a.grad.data<float>().ToArray());
        nn.utils.clip_grad_value_([a], 3.5);
        Assert.Equal(new float[] { 3, -3.5f }, a.grad.data<float>().ToArray());
    }
}
