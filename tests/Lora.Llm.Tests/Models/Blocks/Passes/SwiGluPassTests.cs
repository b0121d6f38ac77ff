using Lora.Llm.Blocks.Passes;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Blocks.Passes;

public sealed class SwiGluPassTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(ScalarType.Float64, 1e-14)]
    [InlineData(ScalarType.Float32, 1e-6)]
    public void Gates_and_their_gradients_are_those_of_the_operators(ScalarType type, double tolerance)
    {
        (Tensor gate, Tensor up) = (Passes.Leaf(type, 1, 2, 5, 7), Passes.Leaf(type, 2, 2, 5, 7));
        Passes.AssertSame(() => SwiGluPass.Plain(gate, up), () => SwiGluPass.Apply(gate, up), tolerance, gate, up);
        Tensor both = Passes.Leaf(type, 3, 3, 10);
        Passes.AssertSame(
            () => SwiGluPass.Plain(both.narrow(1, 0, 5), both.narrow(1, 5, 5)), () => SwiGluPass.Apply(both.narrow(1, 0, 5), both.narrow(1, 5, 5)), tolerance, both);
        using var noGrad = no_grad();
        Passes.AssertClose(SwiGluPass.Plain(gate, up), SwiGluPass.Apply(gate, up), tolerance);
    }

    [Fact]
    public void Gradients_are_slopes_and_have_gradients()
    {
        (Tensor gate, Tensor up) = (Passes.Leaf(ScalarType.Float64, 1, 3, 7), Passes.Leaf(ScalarType.Float64, 2, 3, 7));
        Passes.AssertSlopes(() => SwiGluPass.Apply(gate, up), gate, up);
        Passes.AssertSameTwice(() => SwiGluPass.Plain(gate, up), () => SwiGluPass.Apply(gate, up), 1e-13, gate, up);
    }

    // Where σ rounds to 0 or 1, and where x · (1 − σ) could become 0 · ∞.
    [Fact]
    public void Large_gates_have_the_gradients_of_the_operators()
    {
        Tensor gate = tensor(new[] { -200f, -40f, -1e-30f, 0f, 1e-30f, 40f, 200f }).requires_grad_(), up = ones(7).requires_grad_();
        Passes.AssertSame(() => SwiGluPass.Plain(gate, up), () => SwiGluPass.Apply(gate, up), 1e-7, gate, up);
    }

    [Fact]
    public void What_needs_no_gradient_gets_none()
    {
        (Tensor gate, Tensor up) = (Passes.Leaf(ScalarType.Float64, 1, 7), Passes.Leaf(ScalarType.Float64, 2, 7).detach());
        Passes.AssertSame(() => SwiGluPass.Plain(gate, up), () => SwiGluPass.Apply(gate, up), 1e-14, gate);
        Assert.Equal(ScalarType.BFloat16, SwiGluPass.Apply(gate.to(ScalarType.BFloat16), up.to(ScalarType.BFloat16)).dtype);
    }
}
