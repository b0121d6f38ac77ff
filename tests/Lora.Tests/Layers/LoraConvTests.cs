using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>Convolutions by hand, the whole weights that their adapters stand for, and groups.</summary>
public sealed class LoraConvTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<LayerKind> Kinds =>
    [
        LayerKind.Conv1d, LayerKind.Conv1dReplicated, LayerKind.Conv2dRectangular, LayerKind.Conv2dPointwise, LayerKind.Conv2dDilated, LayerKind.Conv2dCircular,
        LayerKind.Conv2dSame, LayerKind.Conv2dGrouped, LayerKind.Conv3d, LayerKind.Conv3dPointwise,
    ];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Its_term_is_that_of_one_convolution_with_delta_W(LayerKind kind)
    {
        var layer = (Convolution)kind.Make(7, 5, ScalarType.Float64);
        Tensor input = kind.Input(3, ScalarType.Float64), plain = layer.call(input);
        using var lora = new LoraConv(layer, rank: 4, alpha: 6, useRankStabilizedScaling: true);
        Adapted.AssertSame(plain, lora.call(input));
        Noise.Fill(lora.Adapter.A, 2, 0.5);
        Noise.Fill(lora.Adapter.B, 3, 0.5);
        Tensor delta = lora.Adapter.ComputeDelta();
        Assert.Equal([layer.out_channels, layer.in_channels, .. layer.kernel_size], delta.shape);
        Adapted.AssertRelativelyClose(plain.add(Convolved(layer, input, delta)), lora.call(input));

        using var scaled = new LoraConv((Convolution)kind.Make(7, 5, ScalarType.Float64), rank: 4, alpha: 12, useRankStabilizedScaling: true);
        using var noGrad = no_grad();
        scaled.Adapter.A.copy_(lora.Adapter.A);
        scaled.Adapter.B.copy_(lora.Adapter.B);
        Adapted.AssertRelativelyClose(delta.mul(2), scaled.Adapter.ComputeDelta());
    }

    [Fact]
    public void A_is_drawn_as_a_convolution_draws_its_weight()
    {
        using var lora = new LoraConv(nn.Conv2d(25, 80, 2, device: TestDevice.Current), rank: 64, alpha: 3);
        Assert.Equal([64, 25, 2, 2], lora.Adapter.A.shape);
        Assert.Equal([80, 64, 1, 1], lora.Adapter.B.shape);
        Assert.InRange(lora.Adapter.A.detach().abs().max().item<float>(), 0.09, 0.1);
        Assert.InRange(lora.Adapter.A.detach().std().item<float>(), 0.055, 0.06);
        Assert.Equal(0, lora.Adapter.B.detach().abs().max().item<float>());
        using var grouped = new LoraConv(nn.Conv2d(6, 4, 3, groups: 2, device: TestDevice.Current), rank: 8);
        Assert.Equal([8, 6, 3, 3], grouped.Adapter.A.shape);
        Assert.Equal([4, 4, 1, 1], grouped.Adapter.B.shape);
        Assert.Equal("6→4 3×3", grouped.Signature);
    }

    // PEFT refuses to merge it.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Merging_groups_makes_one_and_unmerging_gives_them_back(bool keepOriginal)
    {
        var layer = (Conv2d)LayerKind.Conv2dGrouped.Make(6, 4, ScalarType.Float64);
        using var lora = new LoraConv(layer, rank: 4, alpha: 6);
        Noise.Fill(lora.Adapter.A, 2, 0.5);
        Noise.Fill(lora.Adapter.B, 3, 0.5);
        Tensor input = LayerKind.Conv2dGrouped.Input(3, ScalarType.Float64), adapted = lora.call(input), weight = layer.weight.detach().clone();
        lora.Adapters.Merge(keepOriginal);
        Assert.Equal((1L, false), (layer.groups, layer.weight.requires_grad));
        Assert.Equal([4, 6, 3, 3], layer.weight.shape);
        Assert.Equal(["base_layer.weight", "base_layer.bias", "default.lora_A", "default.lora_B"], lora.state_dict().Keys);
        Adapted.AssertRelativelyClose(adapted, lora.call(input));
        Adapted.AssertRelativelyClose(adapted, layer.call(input));
        lora.Adapters.Unmerge();
        Assert.Equal(2, layer.groups);
        if (keepOriginal) Adapted.AssertSame(weight, layer.weight);
        else Adapted.AssertRelativelyClose(weight, layer.weight);
        Adapted.AssertRelativelyClose(adapted, lora.call(input));
    }

    [Fact]
    public void Several_adapters_over_groups_merge_one_by_one()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Conv2dGrouped, ScalarType.Float64);
        LoraConfig config = LayerKind.Conv2dGrouped.Config(model);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, config);
        Tensor input = LayerKind.Conv2dGrouped.Input(3, ScalarType.Float64);
        lora.AddAdapter("second", config with { Rank = 4 });
        foreach (AdapterLayer layer in lora.Layers) Noise.Fill(layer.Layer.Adapters["second"].B, 7, 0.5);
        lora.SetActive("default", "second");
        Tensor both = model.call(input);
        lora.Merge(new MergeOptions { Adapters = ["second"] });
        Adapted.AssertRelativelyClose(both, model.call(input));
        // An adapter that comes meanwhile knows the layer's own groups.
        Assert.Contains("with 2 groups, which do not divide the rank 3", Assert.Throws<ArgumentException>(() => lora.AddAdapter("third", config with { Rank = 3 })).Message, StringComparison.Ordinal);
        lora.AddAdapter("third", config with { Rank = 6 });
        Assert.All(lora.Layers, layer => Assert.Equal(3, layer.Layer.Adapters["third"].B.shape[1]));
        lora.Merge(new MergeOptions { Adapters = ["default"] });
        Adapted.AssertRelativelyClose(both, model.call(input));
        lora.Unmerge("second");
        Adapted.AssertRelativelyClose(both, model.call(input));
        lora.Unmerge();
        Adapted.AssertRelativelyClose(both, model.call(input));
        Assert.All(lora.Layers, layer => Assert.Equal(2, ((Convolution)layer.Layer.BaseLayer).groups));
    }

    [Fact]
    public void Other_layers_and_ranks_are_refused()
    {
        Assert.Equal(
            "A ConvTranspose1d cannot be adapted here: a Conv1d, Conv2d or Conv3d is needed, and LoraConvTranspose for a transposed one. (Parameter 'baseLayer')",
            Assert.Throws<ArgumentException>(() => new LoraConv(nn.ConvTranspose1d(4, 4, 3))).Message);
        Assert.Equal(
            "The layer is a Conv1d with 2 groups, which do not divide the rank 3: give it a multiple of 2 as its rank (RankPattern), or leave it out of the targets. (Parameter 'settings')",
            Assert.Throws<ArgumentException>(() => new LoraConv(nn.Conv1d(4, 4, 3, groups: 2), rank: 3)).Message);
        Assert.Contains(
            "is a ConvTranspose1d with 2 groups, which do not divide the rank 3",
            Assert.Throws<ArgumentException>(() => new LoraConvTranspose(nn.ConvTranspose1d(4, 4, 3, groups: 2), rank: 3)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => new LoraConv(null!));
    }

    // Independent of the layer's groups, which a whole weight does not have.
    private static Tensor Convolved(Convolution layer, Tensor input, Tensor weight)
    {
        long groups = layer.groups;
        using Tensor own = layer.weight.detach().clone();
        using Tensor bias = layer.bias!.detach().clone();
        layer.weight = new Parameter(weight.clone());
        layer.groups = 1;
        layer.bias.zero_();
        Tensor output = layer.call(input).detach();
        layer.weight = new Parameter(own.clone(), requires_grad: false);
        layer.groups = groups;
        layer.bias.copy_(bias);
        return output;
    }
}
