using System.Runtime.InteropServices;
using TorchSharp;
using TorchSharp.Interop;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Interop;

/// <summary>16-bit floats on the CPU: what an old libtorch lacks is computed in float32 and rounded.</summary>
public sealed class LowPrecisionTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string, ScalarType> Products => Cross(["matmul", "mm", "linear", "einsum"]);

    public static TheoryData<string, ScalarType> Elementwise =>
        Cross(["exp", "sqrt", "sigmoid", "tanh", "relu", "gelu", "silu", "erf", "softplus", "hardtanh", "log1p", "rsqrt"]);

    public static TheoryData<ScalarType> Types => [ScalarType.Float16, ScalarType.BFloat16];

    [Theory]
    [MemberData(nameof(Products))]
    public void AProductIsTheFloat32ProductRounded(string name, ScalarType type)
    {
        Tensor a = Wave(4, 6).to(type), b = Wave(6, 4).to(type);
        Tensor Product(Tensor x, Tensor y) => name switch
        {
            "linear" => Ops.Tensor("linear", x, Ops.Tensor("t", y)),
            "einsum" => Ops.Tensor("einsum", "ij,jk->ik", new[] { x, y }),
            _ => Ops.Tensor(name, x, y),
        };
        AssertRounded(Product(a.to(ScalarType.Float32), b.to(ScalarType.Float32)), Product(a, b), type);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void ALongSumOfOnesIsExact(ScalarType type)
    {
        Tensor left = ones(2, 1000, dtype: type), right = ones(1000, 2, dtype: type);
        Assert.Equal(1000f, left.mm(right).to(ScalarType.Float32).max().item<float>());
    }

    [Theory]
    [MemberData(nameof(Elementwise))]
    public void AFunctionIsTheFloat32FunctionRounded(string name, ScalarType type)
    {
        Tensor x = (Wave(3, 5).abs() + 0.1f).to(type);
        AssertRounded(Ops.Tensor(name, x.to(ScalarType.Float32)), Ops.Tensor(name, x), type);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void GradientsComeInTheTypeOfTheirTensors(ScalarType type)
    {
        Tensor a = Wave(4, 6).to(type).requires_grad_(), b = Wave(6, 4).to(type).requires_grad_();
        a.matmul(b).softmax(1).select(1, 0).sum().backward();
        Tensor c = a.detach().to(ScalarType.Float32).requires_grad_(), d = b.detach().to(ScalarType.Float32).requires_grad_();
        c.matmul(d).softmax(1).select(1, 0).sum().backward();
        Assert.Equal(type, a.grad.dtype);
        Assert.True(a.grad.to(ScalarType.Float32).allclose(c.grad, 0.05, 0.02));
        Assert.True(b.grad.to(ScalarType.Float32).allclose(d.grad, 0.05, 0.02));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void AnInPlaceProductChangesItsTensor(ScalarType type)
    {
        Tensor whole = zeros(2, 4, dtype: type), part = whole.narrow(1, 2, 2), a = Wave(2, 3).to(type), b = Wave(3, 2).to(type);
        Assert.Same(part, part.addmm_(a, b, 0, 1));
        AssertRounded(a.to(ScalarType.Float32).mm(b.to(ScalarType.Float32)), whole.narrow(1, 2, 2), type);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void RunningStatisticsAreKept(ScalarType type)
    {
        Tensor mean = zeros(4, dtype: type), variance = ones(4, dtype: type);
        Ops.Tensor("batch_norm", Wave(8, 4).to(type) + 3, Argument.None, Argument.None, mean, variance, true, 0.5, 1e-5, false).Dispose();
        Assert.True(mean.to(ScalarType.Float32).min().item<float>() > 1);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void AnAskedTypeIsTheResultsType(ScalarType type)
    {
        Tensor x = Wave(2, 3).to(type);
        Tensor asked = x.softmax(1, ScalarType.Float32);
        Assert.Equal(ScalarType.Float32, asked.dtype);
        Assert.True(asked.allclose(x.to(ScalarType.Float32).softmax(1)));
        Assert.Equal(type, x.softmax(1, type).dtype);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void MixedTypesAreRefused(ScalarType type) =>
        Assert.Throws<ExternalException>(() => Wave(2, 2).to(type).mm(Wave(2, 2)));

    [Theory]
    [MemberData(nameof(Types))]
    public void TransposedConvolutionsAgreeWithFloat32(ScalarType type)
    {
        Tensor x = Wave(2, 4, 5).to(type), w = Wave(4, 3, 3).to(type);
        AssertRounded(
            Ops.Tensor("conv_transpose1d", x.to(ScalarType.Float32), w.to(ScalarType.Float32)), Ops.Tensor("conv_transpose1d", x, w), type);
    }

    [Theory]
    [InlineData("1.13.1", 3)]
    [InlineData("2.0.1+cpu", 3)]
    [InlineData("2.3.0", 1)]
    [InlineData("2.14.0a0+git", 0)]
    public void TheListHoldsForOldVersionsAlone(string version, int lacking) => Assert.Equal(lacking, (int)LowPrecision.Lacking(version));

    [Theory]
    [InlineData("1.13.1", 3)]
    [InlineData("2.6.0", 3)]
    [InlineData("2.10.0+cpu", 3)]
    [InlineData("2.14.0a0+git", 0)]
    public void ConvolutionsAreWidenedForLonger(string version, int lacking) =>
        Assert.Equal(lacking, (int)LowPrecision.LackingInConvolutions(version));

    private static TheoryData<string, ScalarType> Cross(string[] names)
    {
        var rows = new TheoryData<string, ScalarType>();
        foreach (string name in names)
        {
            rows.Add(name, ScalarType.Float16);
            rows.Add(name, ScalarType.BFloat16);
        }
        return rows;
    }

    private static Tensor Wave(params long[] shape) =>
        (arange(shape.Aggregate(1L, (a, b) => a * b), dtype: ScalarType.Float32) * 0.7f + 0.3f).sin().reshape(shape);

    // A libtorch with kernels of its own may round another way.
    private static void AssertRounded(Tensor expected, Tensor actual, ScalarType type)
    {
        Assert.Equal(type, actual.dtype);
        Assert.True(actual.to(ScalarType.Float32).allclose(expected, type == ScalarType.Float16 ? 0.002 : 0.016, 1e-3));
    }
}
