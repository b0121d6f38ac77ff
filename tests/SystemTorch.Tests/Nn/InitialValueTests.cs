using TorchSharp;
using static SystemTorch.Tests.Nn.Inputs;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Nn;

/// <summary>What PyTorch draws after the same seed on a CPU.</summary>
public class InitialValueTests
{
    [Fact]
    public void InitialisersDrawAsPyTorchDoes()
    {
        manual_seed(0);
        Close([-0.00432252f, 0.309716f, -0.475185f, -0.424895f, -0.222369f, 0.154821f], nn.init.kaiming_uniform_(empty(2, 3), a: Math.Sqrt(5)));
        manual_seed(0);
        Close([-0.0090f, 0.6935f, -1.2415f, -1.0417f, -0.4784f, 0.3265f], nn.init.trunc_normal_(empty(2, 3)));
        manual_seed(0);
        Close([0.5740f, -0.1093f, -0.8115f, -0.3454f, -0.9309f, -0.1189f], nn.init.orthogonal_(empty(2, 3)));
    }

    [Fact]
    public void LayersDrawAsPyTorchDoes()
    {
        manual_seed(3);
        var conv = nn.Conv2d(2, 3, 2);
        Close([-0.3505f, -0.2789f, -0.1514f], conv.weight);
        Close([-0.2257f, -0.2208f, -0.1466f], conv.bias);
        manual_seed(3);
        var transposed = nn.ConvTranspose2d(2, 3, 2);
        Close([-0.2862f, -0.2277f, -0.1236f], transposed.weight);
        Close([-0.1842f, -0.1803f, -0.1197f], transposed.bias);
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void SixteenBitWeightsAreDrawnToo(ScalarType type)
    {
        foreach (Tensor drawn in new[]
        {
            nn.init.uniform_(empty(8, 8, dtype: type)), nn.init.normal_(empty(8, 8, dtype: type)), nn.init.kaiming_normal_(empty(8, 8, dtype: type)),
            nn.init.trunc_normal_(empty(8, 8, dtype: type)), nn.Conv1d(2, 3, 2, dtype: type).weight,
        })
        {
            Assert.Equal(type, drawn.dtype);
            Assert.True(drawn.detach().to(ScalarType.Float32).std().item<float>() > 0.01f);
        }
    }
}
