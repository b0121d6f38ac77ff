using TorchSharp;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Autograd;

[Collection(Alone.Name)]
public sealed class FunctionLeakTests
{
    private const int Many = 1000;

    private static Tensor Leaf() => ones(3, requires_grad: true);

    [Fact]
    public void ApplyAndBackwardLeaveNoHandle()
    {
        using Tensor x = Leaf();
        long left = LiveHandles.LeftBy(() =>
        {
            for (int i = 0; i < Many; i++)
            {
                using Tensor y = Square.apply(x, 2.0);
                using Tensor sum = y.sum();
                sum.backward();
            }
        });
        Assert.Equal(0, left);
        using Tensor gradient = x.grad;
        Assert.Equal(4.0f * Many, gradient.data<float>()[0]);
    }

    [Fact]
    public void ApplyWithoutBackwardLeavesNoHandle()
    {
        using Tensor x = Leaf();
        Assert.Equal(0, LiveHandles.LeftBy(() =>
        {
            for (int i = 0; i < Many; i++) Square.apply(x, 2.0).Dispose();
        }));
    }

    [Fact]
    public void ApplyWithoutGradientLeavesNoHandle()
    {
        using Tensor x = Leaf();
        Assert.Equal(0, LiveHandles.LeftBy(() =>
        {
            using IDisposable _ = no_grad();
            for (int i = 0; i < Many; i++) Square.apply(x, 2.0).Dispose();
        }));
    }

    [Fact]
    public void AForwardThatThrowsLeavesNoHandle()
    {
        using Tensor x = Leaf();
        var script = new Scripted.Script(
            (ctx, t) =>
            {
                ctx.save_for_backward([t]);
                throw new NotSupportedException("no");
            },
            (_, g) => [g, null!]);
        Assert.Equal(0, LiveHandles.LeftBy(() =>
        {
            for (int i = 0; i < Many; i++) Assert.Throws<NotSupportedException>(() => Scripted.apply(x, script));
        }));
        Assert.True(is_grad_enabled());
    }

    [Fact]
    public void ABackwardThatThrowsLeavesNoHandle()
    {
        using Tensor x = Leaf();
        var script = new Scripted.Script((_, t) => t * 2, (_, g) => throw new NotSupportedException((g * 2).ToString()));
        Assert.Equal(0, LiveHandles.LeftBy(() =>
        {
            for (int i = 0; i < 50; i++)
            {
                using Tensor y = Scripted.apply(x, script);
                using Tensor sum = y.sum();
                Assert.ThrowsAny<Exception>(sum.backward);
            }
        }));
    }

    [Fact]
    public void TemporariesOfABackwardAreDisposed()
    {
        using Tensor x = Leaf();
        var script = new Scripted.Script((_, t) => t * 2, (_, g) => [(g + 1 - 1) * 2, null!]);
        Assert.Equal(0, LiveHandles.LeftBy(() =>
        {
            using Tensor y = Scripted.apply(x, script);
            using Tensor sum = y.sum();
            sum.backward();
        }));
    }

    [Fact]
    public void AGraphIsReleasedWithItsContext()
    {
        using Tensor x = Leaf();
        WeakReference context = Apply(x);
        GC.Collect();
        Assert.False(context.IsAlive);

        static WeakReference Apply(Tensor x)
        {
            WeakReference? found = null;
            var script = new Scripted.Script(
                (ctx, t) =>
                {
                    found = new WeakReference(ctx);
                    return t * 2;
                },
                (_, g) => [g, null!]);
            Scripted.apply(x, script).Dispose();
            return found!;
        }
    }
}
