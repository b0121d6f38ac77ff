using Lora.Llm.Blocks;
using Lora.Llm.Blocks.Passes;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Blocks.Passes;

public sealed class RowRotationTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    // Heads of 4 have repeated tables, those of 34 have not; positions of their own make tables for each text.
    [Theory]
    [InlineData(4, false, ScalarType.Float64, 1e-14)]
    [InlineData(4, true, ScalarType.Float64, 1e-14)]
    [InlineData(34, false, ScalarType.Float64, 1e-14)]
    [InlineData(34, true, ScalarType.Float64, 1e-14)]
    [InlineData(34, false, ScalarType.Float32, 1e-6)]
    public void Rows_are_turned_as_heads_are(int width, bool ownPositions, ScalarType type, double tolerance)
    {
        using var positions = new RotaryPositions(new DefaultRope(500), width);
        Tensor x = Passes.Leaf(type, 1, 2, 5, 3 * width);
        (Tensor, Tensor) tables = positions.For(2, 5, ownPositions ? tensor(new long[] { 0, 1, 2, 3, 4, 7, 8, 9, 1, 2 }, [2, 5]) : null, x);
        // The tables are for more heads than these, as those of queries are for keys.
        RowRotation rotation = RowRotation.Of(tables, 5, width)!;
        Passes.AssertSame(Plain, () => rotation.Apply(x), tolerance, x);
        using (no_grad()) Passes.AssertClose(Plain(), rotation.Apply(x), tolerance);
        if (type != ScalarType.Float64) return;
        Passes.AssertSlopes(() => rotation.Apply(x), x);
        Passes.AssertSameTwice(Plain, () => rotation.Apply(x), 1e-13, x);

        Tensor Plain() => RotaryPositions.Rotate(x.unflatten(2, 3, width).transpose(1, 2), tables).transpose(1, 2).flatten(2);
    }

    [Fact]
    public void Views_are_turned_too()
    {
        using var positions = new RotaryPositions(new DefaultRope(500), 4);
        Tensor x = Passes.Leaf(ScalarType.Float64, 1, 2, 5, 20);
        RowRotation rotation = RowRotation.Of(positions.For(0, 5, null, x), 3, 4)!;
        Passes.AssertSame(() => rotation.Apply(x.narrow(2, 4, 12).contiguous()), () => rotation.Apply(x.narrow(2, 4, 12)), 1e-15, x);
    }

    [Fact]
    public void Parts_of_heads_and_narrow_types_are_for_the_operators()
    {
        using var part = new RotaryPositions(new DefaultRope(500) { Part = 0.5 }, 8);
        using var whole = new RotaryPositions(new DefaultRope(500), 8);
        Assert.Null(RowRotation.Of(part.For(0, 5, null, ones(1)), 3, 8));
        Assert.Null(RowRotation.Of(whole.For(0, 5, null, ones([1], dtype: ScalarType.BFloat16)), 3, 8));
        Assert.NotNull(RowRotation.Of(whole.For(0, 5, null, ones(1)), 3, 8));
    }
}
