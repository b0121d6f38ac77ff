using TorchSharp;
using static SystemTorch.Tests.Nn.Inputs;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Nn;

[Collection(Alone.Name)]
public class LayerTests
{
    private static readonly (string Name, Func<nn.Module<Tensor, Tensor>> Make, Func<Tensor> Input)[] _layers =
    [
        ("Conv1d", () => nn.Conv1d(2, 4, 3, padding: 1), () => Wave(1, 2, 5)),
        ("Conv2d groups", () => nn.Conv2d(4, 4, 3, groups: 2), () => Wave(1, 4, 5, 5)),
        ("Conv2d same", () => nn.Conv2d(2, 3, (2, 3), Padding.Same), () => Wave(1, 2, 5, 5)),
        ("Conv2d reflect", () => nn.Conv2d(2, 3, 3, padding: 1, padding_mode: PaddingModes.Reflect), () => Wave(1, 2, 5, 5)),
        ("Conv2d replicate", () => nn.Conv2d(2, 3, 3, padding: 1, padding_mode: PaddingModes.Replicate), () => Wave(1, 2, 5, 5)),
        ("Conv2d circular", () => nn.Conv2d(2, 3, 3, Padding.Same, padding_mode: PaddingModes.Circular), () => Wave(1, 2, 5, 5)),
        ("Conv3d", () => nn.Conv3d(1, 2, 2), () => Wave(1, 1, 3, 3, 3)),
        ("ConvTranspose1d", () => nn.ConvTranspose1d(2, 3, 3, stride: 2), () => Wave(1, 2, 4)),
        ("ConvTranspose2d", () => nn.ConvTranspose2d(2, 4, 3, stride: 2, padding: 1, output_padding: 1, groups: 2), () => Wave(1, 2, 4, 4)),
        ("ConvTranspose3d", () => nn.ConvTranspose3d(1, 2, 2), () => Wave(1, 1, 2, 2, 2)),
        ("LayerNorm", () => nn.LayerNorm(4), () => Wave(3, 4)),
        ("GroupNorm", () => nn.GroupNorm(2, 4), () => Wave(2, 4, 3)),
        ("BatchNorm1d", () => nn.BatchNorm1d(4), () => Wave(6, 4)),
        ("InstanceNorm1d", () => nn.InstanceNorm1d(2, affine: true), () => Wave(2, 2, 4)),
        ("TransformerEncoderLayer", () => nn.TransformerEncoderLayer(4, 2, 8, dropout: 0), () => Wave(3, 1, 4)),
    ];

    public static TheoryData<string, ScalarType> Cases()
    {
        var data = new TheoryData<string, ScalarType>();
        foreach ((string name, _, _) in _layers)
            foreach (ScalarType type in new[] { ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float64 }) data.Add(name, type);
        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void EveryLayerConvertsAndAgreesWithFloat32(string name, ScalarType type)
    {
        (_, Func<nn.Module<Tensor, Tensor>> make, Func<Tensor> input) = _layers.Single(layer => layer.Name == name);
        manual_seed(1);
        nn.Module<Tensor, Tensor> single = make(), other = make();
        other.load_state_dict(single.state_dict());
        other.to(type);
        Tensor x = input().to(type).requires_grad_();

        Tensor expected = single.call(input()), output = other.call(x);
        output.pow(2).sum().backward();

        Assert.Equal(type, output.dtype);
        double by = type == ScalarType.Float64 ? 1e-5 : type == ScalarType.Float16 ? 0.02 : 0.1;
        Assert.True(output.to(ScalarType.Float32).allclose(expected, rtol: by, atol: by), $"{output.to(ScalarType.Float32)} for {expected}");
        Assert.Equal(type, x.grad.dtype);
        Assert.All(other.parameters(), p => Assert.Equal(type, p.dtype));
        Assert.All(other.parameters(), p => Assert.NotNull(p.grad));
    }

    [Fact]
    public void LayersLeaveNoHandlesBehind()
    {
        foreach ((string name, Func<nn.Module<Tensor, Tensor>> make, Func<Tensor> input) in _layers)
        {
            long left = LiveHandles.LeftBy(() =>
            {
                using DisposeScope scope = NewDisposeScope();
                using nn.Module<Tensor, Tensor> layer = make();
                layer.to(ScalarType.Float64).call(input().to(ScalarType.Float64)).sum().backward();
            });
            Assert.True(left == 0, $"{name} leaves {left} handles behind");
        }
    }

    [Fact]
    public void ACallOutsideAllScopesMakesNothingButItsResult()
    {
        foreach ((string name, Func<nn.Module<Tensor, Tensor>> make, Func<Tensor> input) in _layers)
        {
            using nn.Module<Tensor, Tensor> layer = make();
            using Tensor x = input();
            layer.call(x).Dispose();
            long left = LiveHandles.LeftBy(() => layer.call(x).Dispose());
            Assert.True(left == 0, $"{name} leaves {left} handles behind");
        }
    }

    [Fact]
    public void ConvTransposeReachesTheOutputSizeAskedFor()
    {
        var layer = nn.ConvTranspose2d(1, 1, 3, stride: 2);
        Assert.Equal([1, 1, 6, 6], layer.forward(Wave(1, 1, 2, 2), [6, 6]).shape);
        Assert.Equal([1, 1, 5, 6], layer.forward(Wave(1, 1, 2, 2), [1, 1, 5, 6]).shape);
        Assert.Throws<ArgumentException>(() => layer.forward(Wave(1, 1, 2, 2), [7, 7]));
    }
}
