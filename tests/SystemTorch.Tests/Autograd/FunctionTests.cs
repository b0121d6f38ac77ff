using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Autograd;

public sealed class FunctionTests
{
    private static Tensor Leaf() => tensor(new float[] { 1, 2, 3 }, requires_grad: true);

    private static Tensor Run(Tensor x, Func<autograd.AutogradContext, Tensor, Tensor> forward, Func<autograd.AutogradContext, Tensor, List<Tensor>> backward) =>
        Scripted.apply(x, new Scripted.Script(forward, backward));

    [Fact]
    public void AnExceptionInBackwardReachesTheCallerOfBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        var original = new NotSupportedException("not for this shape");
        Tensor y = Run(Leaf(), (_, t) => t * 2, (_, _) => throw original).sum();

        var error = Assert.Throws<ExternalException>(y.backward);

        Assert.Equal("Scripted.backward: NotSupportedException: not for this shape", error.Message);
        Assert.Same(original, error.InnerException);
    }

    [Fact]
    public void BackwardWorksAfterAnException()
    {
        using DisposeScope scope = NewDisposeScope();
        bool refuse = true;
        Tensor x = Leaf();
        Tensor y = Run(x, (_, t) => t * 2, (_, g) => refuse ? throw new NotSupportedException() : [g * 2, null!]).sum();
        Assert.Throws<ExternalException>(() => y.backward(retain_graph: true));
        refuse = false;
        y.backward();
        Assert.Equal(new float[] { 2, 2, 2 }, x.grad.data<float>().ToArray());
    }

    [Fact]
    public void ASavedTensorChangedInPlaceIsAnException()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor h = Leaf() * 1;
        Tensor y = Square.apply(h, 1.0).sum();
        h.add_(1);

        var error = Assert.Throws<ExternalException>(y.backward);

        Assert.Contains("modified by an inplace operation", error.Message, StringComparison.Ordinal);
        Assert.StartsWith("Square.backward: ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void AWrongNumberOfGradientsIsAnException(int count)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor y = Run(Leaf(), (_, t) => t * 2, (_, g) => [.. Enumerable.Repeat(g, count)]).sum();
        var error = Assert.Throws<ExternalException>(y.backward);
        Assert.Contains($"{count} gradients for 2 arguments", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AGradientOfAnotherShapeIsAnException()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor y = Run(Leaf(), (_, t) => t * 2, (_, _) => [ones(7), null!]).sum();
        Assert.Throws<ExternalException>(y.backward);
    }

    [Fact]
    public void ASecondBackwardNeedsNoRetainedGraph()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = Leaf();
        Tensor y = Square.apply(x, 1.0);
        y.backward([ones(3)]);
        y.backward([ones(3)]);
        Assert.Equal(new float[] { 4, 8, 12 }, x.grad.data<float>().ToArray());
    }

    [Fact]
    public void GradientsAgreeWithThoseOfAutograd()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor a = Leaf(), b = Leaf();
        (Square.apply(a.exp(), 0.5) * a).sum().backward();
        Tensor e = b.exp();
        (e * e * 0.5 * b).sum().backward();
        Assert.True(a.grad.allclose(b.grad));
    }

    [Fact]
    public void AGradientOfAGradientPassesThroughBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = Leaf();
        Tensor y = Square.apply(x, 1.0);
        Tensor first = autograd.grad([y.sum()], [x], create_graph: true)[0];
        Tensor second = autograd.grad([first.sum()], [x])[0];
        Assert.Equal(new float[] { 2, 2, 2 }, second.data<float>().ToArray());
    }

    [Fact]
    public void NestedFunctionsWork()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = Leaf();
        Tensor y = Run(x, (_, t) => Square.apply(t, 1.0), (_, g) => [g, null!]);
        y.sum().backward();
        Assert.Equal(new float[] { 1, 4, 9 }, y.detach().data<float>().ToArray());
        Assert.Equal(new float[] { 1, 1, 1 }, x.grad.data<float>().ToArray());
    }

    [Fact]
    public void ATensorThatForwardDidNotMakeStaysTheCallers()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor table = ones(3);
        Tensor x = Leaf();
        using (no_grad()) Run(x, (_, _) => table, (_, _) => [null!, null!]).Dispose();
        Assert.False(table.IsInvalid);
        Run(x, (_, t) => t, (_, g) => [g, null!]).sum().backward();
        Assert.False(x.IsInvalid);
        Assert.Equal(new float[] { 1, 1, 1 }, x.grad.data<float>().ToArray());
    }

    [Fact]
    public void AnOutputKeptAsDataStaysValid()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = Leaf();
        Tensor y = Run(
            x,
            (ctx, t) =>
            {
                Tensor made = t * 3;
                ctx.save_data("y", made.detach());
                return made;
            },
            (ctx, g) => [g * (Tensor)ctx.get_data("y"), null!]);
        y.sum().backward();
        Assert.Equal(new float[] { 3, 6, 9 }, x.grad.data<float>().ToArray());
    }

    [Fact]
    public void SavedTensorsAreGoneWithTheGraph()
    {
        autograd.AutogradContext? context = null;
        using (NewDisposeScope())
        {
            Run(
                Leaf(),
                (ctx, t) =>
                {
                    context = ctx;
                    ctx.save_for_backward([t]);
                    return t * 1;
                },
                (_, g) => [g, null!]);
            Assert.Single(context!.get_saved_variables());
        }
        Assert.Throws<InvalidOperationException>(() => context!.get_saved_variables());
    }

    [Fact]
    public void BackwardRunsOnAnyThread()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = Leaf();
        Tensor y = Square.apply(x, 1.0).sum();
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                y.backward();
                y = Run(x, (_, t) => t * 1, (_, _) => throw new NotSupportedException("elsewhere")).sum();
                failure = Record.Exception(y.backward);
            }
            finally
            {
                y.Dispose();
            }
        });
        thread.Start();
        thread.Join();
        Assert.Equal("elsewhere", failure?.InnerException?.Message);
        Assert.Equal(new float[] { 2, 4, 6 }, x.grad.data<float>().ToArray());
    }
}
