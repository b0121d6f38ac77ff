using TorchSharp;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Interop;

/// <summary>Native handles that must not be left behind.</summary>
[Collection(Alone.Name)]
public sealed class HandleTests
{
    [Fact]
    public void TruthValuesAmongIndices_LeaveNoHandleBehind()
    {
        using Tensor t = arange(6f).reshape(2, 3);
        long left = LiveHandles.LeftBy(() =>
        {
            using Tensor all = t[TensorIndex.Bool(true)], none = t[TensorIndex.Bool(false)];
            Assert.Equal([1L, 2, 3], all.shape);
            Assert.Equal([0L, 2, 3], none.shape);
        });
        Assert.Equal(0, left);
    }

    [Fact]
    public void TruthValuesAmongIndices_AreNotCounted()
    {
        using Tensor t = arange(6f).reshape(2, 3);
        using DisposeScope scope = NewDisposeScope();
        _ = t[TensorIndex.Bool(true)];
        Assert.Equal(1, scope.DisposablesCount);
    }

    [Fact]
    public void ArrayForAMissingDevice_IsNotHeld()
    {
        Assert.SkipWhen(cuda.is_available(), "there is a CUDA device");
        long left = LiveHandles.LeftBy(() =>
        {
            Assert.Throws<InvalidOperationException>(() => from_array(new float[2, 3], device: torch.device(0)));
            Assert.Throws<InvalidOperationException>(() => tensor(new float[6], device: torch.device(0)));
        });
        Assert.Equal(0, left);
    }
}
