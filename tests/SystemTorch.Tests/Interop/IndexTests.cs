using TorchSharp;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Interop;

public sealed class IndexTests
{
    [Fact]
    public void WhatFollowsAMaskOfTwoDimensionsIndexesTheThird()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = arange(24).reshape(2, 3, 4), mask = tensor(new[,] { { true, false, true }, { false, false, true } });
        Assert.Equal([1L, 9, 21], x[TensorIndex.Tensor(mask), 1].data<long>().ToArray());
        Assert.Equal([1L, 2, 9, 10, 21, 22], x[TensorIndex.Tensor(mask), TensorIndex.Slice(1, 3)].data<long>().ToArray());
        Assert.Equal([3L, 8, 20], x[TensorIndex.Tensor(mask), TensorIndex.Tensor(tensor(new long[] { 3, 0, 0 }))].data<long>().ToArray());
        x[TensorIndex.Tensor(mask), 1] = tensor(-1L);
        Assert.Equal(3, x.eq(-1).sum().item<long>());
    }

    [Fact]
    public void ATensorOfBytesWithoutDimensionsIsAMask()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal([1, 3], zeros(3)[TensorIndex.Tensor(tensor((byte)1))].shape);
        Assert.Equal([0, 3], zeros(3)[TensorIndex.Tensor(tensor((byte)0))].shape);
    }

    [Fact]
    public void Int32IndicesAreTaken()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal([2L, 0], arange(3)[TensorIndex.Tensor(tensor(new[] { 2, 0 }))].data<long>().ToArray());
    }
}
