using TorchSharp;
using TorchSharp.Interop;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Interop;

[Collection(Alone.Name)]
public sealed class LowPrecisionLeakTests
{
    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void ComputingInFloat32LeavesNothingBehind(ScalarType type)
    {
        using Tensor a = ones(4, 6, dtype: type), b = ones(6, 4, dtype: type);
        long counted = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Equal(0, LiveHandles.LeftBy(() =>
        {
            a.matmul(b).Dispose();
            a.clamp_(-1, 1);
            Ops.Tensor("einsum", "ij,jk->ik", new[] { a, b }).Dispose();
        }));
        Assert.Equal(counted, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
