using Lora.Llm.Blocks.Passes;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Blocks.Passes;

public sealed class RmsPassTests : IDisposable
{
    private const double Epsilon = 0.03;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(ScalarType.Float64, 1e-13)]
    [InlineData(ScalarType.Float32, 3e-6)]
    public void Norms_and_their_gradients_are_those_of_the_operators(ScalarType type, double tolerance)
    {
        (Tensor x, Tensor weight) = (Passes.Leaf(type, 1, 2, 5, 7), Passes.Leaf(type, 2, 7));
        Passes.AssertSame(() => RmsPass.Plain(x, weight, Epsilon), () => RmsFunction.apply(x, weight, Epsilon), tolerance, x, weight);
        using var noGrad = no_grad();
        Passes.AssertClose(RmsPass.Plain(x, weight, Epsilon), RmsPass.Forward(x, weight, Epsilon).Output, tolerance);
    }

    [Fact]
    public void Gradients_are_slopes_and_have_gradients()
    {
        (Tensor x, Tensor weight) = (Passes.Leaf(ScalarType.Float64, 1, 3, 7), Passes.Leaf(ScalarType.Float64, 2, 7));
        Passes.AssertSlopes(() => RmsFunction.apply(x, weight, Epsilon), x, weight);
        Passes.AssertSameTwice(() => RmsPass.Plain(x, weight, Epsilon), () => RmsFunction.apply(x, weight, Epsilon), 1e-12, x, weight);
    }

    [Fact]
    public void A_frozen_weight_gets_no_gradient()
    {
        (Tensor x, Tensor weight) = (Passes.Leaf(ScalarType.Float64, 1, 3, 7), Passes.Leaf(ScalarType.Float64, 2, 7).detach());
        Passes.AssertSame(() => RmsPass.Plain(x, weight, Epsilon), () => RmsFunction.apply(x, weight, Epsilon), 1e-13, x);
        Assert.Null(weight.grad);
    }

    [Fact]
    public void Narrow_types_are_for_the_operators()
    {
        Tensor x = ones([2, 3], dtype: ScalarType.BFloat16), weight = ones([3]);
        Assert.False(RmsPass.Fits(x, x));
        Assert.False(RmsPass.Fits(weight, x));
        Assert.True(RmsPass.Fits(weight, weight));
    }
}
