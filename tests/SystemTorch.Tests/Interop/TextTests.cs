using TorchSharp;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Interop;

/// <summary>Tensors as text. The expectations are what TorchSharp 0.107 wrote.</summary>
public sealed class TextTests
{
    [Fact]
    public void LongRowsShowTheirEnds()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal("[0, 1, 2, 3, 4, 5]", arange(6).ToString(TorchSharp.TensorStringStyle.Numpy));
        Assert.Equal("[0, 1, 2, ... 4, 5, 6]", arange(7).ToString(TorchSharp.TensorStringStyle.Numpy));
        Assert.Equal(
            "[7], type = Float32, device = cpu, value = float [] {0f, 1f, 2f, ... 4f, 5f, 6f}",
            arange(7, dtype: ScalarType.Float32).ToString(TorchSharp.TensorStringStyle.CSharp));
    }

    [Fact]
    public void MatricesStandABlankLineApart()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal("[[[0, 1]\n  [2, 3]]\n\n [[4, 5]\n  [6, 7]]]", arange(8).reshape(2, 2, 2).ToString(TorchSharp.TensorStringStyle.Numpy, newLine: "\n"));
    }

    [Fact]
    public void TypesAreWrittenAsThePackageWritesThem()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal("[True, False]", tensor(new[] { true, false }).ToString(TorchSharp.TensorStringStyle.Numpy));
        Assert.Equal("[], type = Float32, device = cpu, value = 2.5", tensor(2.5f).ToString(TorchSharp.TensorStringStyle.CSharp));
        Assert.Equal("[1], type = Float64, device = cpu, value = double [] {2.5}", tensor(new[] { 2.5 }).ToString(TorchSharp.TensorStringStyle.CSharp));
        Assert.Equal(
            "[1], type = BFloat16, device = cpu, value = bfloat16 [] {2.5f}", tensor(new[] { 2.5f }).bfloat16().ToString(TorchSharp.TensorStringStyle.CSharp));
    }
}
