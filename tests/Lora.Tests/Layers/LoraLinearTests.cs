using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>Layers in a user's own module, without the injector.</summary>
public sealed class LoraLinearTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<LayerKind> Kinds => [.. Enum.GetValues<LayerKind>().Where(kind => kind.IsLinear())];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void It_computes_base_plus_scaled_B_A(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> layer = kind.Make(7, 5);
        Tensor input = TestModels.Input(3), plain = layer.call(input);
        using var lora = new LoraLinear(layer, rank: 2, alpha: 6, useRankStabilizedScaling: true);
        Adapted.AssertSame(plain, lora.call(input));
        Noise.Fill(lora.Adapter.B, 3, 0.5);
        Tensor expected = plain.add(input.matmul(lora.Adapter.A.t()).matmul(lora.Adapter.B.t()).mul(6 / Math.Sqrt(2)));
        Adapted.AssertClose(expected, lora.call(input));
        Assert.Equal((7, 5, 2, 6.0, "default"), (lora.InFeatures, lora.OutFeatures, lora.Adapter.Rank, lora.Adapter.Alpha, lora.Adapter.AdapterName));

        Tensor adapted = lora.call(input);
        lora.Adapters.Merge(keepOriginal: true);
        Assert.True(lora.Adapters.IsMerged);
        Adapted.AssertClose(adapted, lora.call(input));
        lora.Adapters.Unmerge();
        Adapted.AssertSame(adapted, lora.call(input));
    }

    [Fact]
    public void A_is_drawn_as_a_linear_layer_draws_its_weight()
    {
        using var lora = new LoraLinear(nn.Linear(100, 80, device: TestDevice.Current), rank: 64, alpha: 3);
        Tensor a = lora.Adapter.A.detach();
        Assert.InRange(a.abs().max().item<float>(), 0.09, 0.1);
        Assert.InRange(a.std().item<float>(), 0.055, 0.06);
        Assert.Equal(0, lora.Adapter.B.detach().abs().max().item<float>());
    }

    [Fact]
    public void It_is_a_part_of_a_users_module()
    {
        using var model = new FieldModel(new LoraLinear(LayerKind.Linear.Make(7, 5), rank: 2, alpha: 6), LayerKind.Linear.Make(5, 3));
        Assert.Equal(
            ["_first.base_layer.weight", "_first.base_layer.bias", "_first.default.lora_A", "_first.default.lora_B", "_second.weight", "_second.bias"],
            model.state_dict().Keys);
        Assert.Equal(
            ["_first.default.lora_A", "_first.default.lora_B", "_second.weight", "_second.bias"],
            Adapted.Flags(model).Where(flag => flag.Trains).Select(flag => flag.Name));
        model.to(ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, ((LoraLinear)model.First).Adapter.A.dtype);
    }

    [Fact]
    public void It_owns_its_base()
    {
        var layer = (Linear)LayerKind.Linear.Make(7, 5);
        var lora = new LoraLinear(layer);
        Parameter[] parameters = [layer.weight!, layer.bias!, lora.Adapter.A, lora.Adapter.B];
        lora.Dispose();
        lora.Dispose();
        Assert.All(parameters, parameter => Assert.True(parameter.IsInvalid));
    }

    [Fact]
    public void Merging_twice_and_unmerging_nothing_are_errors()
    {
        using var lora = new LoraLinear(LayerKind.Linear.Make(7, 5));
        Assert.Equal("Adapter 'default' is not merged into this layer; there is nothing to unmerge.", Assert.Throws<InvalidOperationException>(lora.Adapters.Unmerge).Message);
        lora.Adapters.Merge();
        Assert.Equal("Adapter 'default' is merged into this layer already; unmerge it first.", Assert.Throws<InvalidOperationException>(() => lora.Adapters.Merge()).Message);
    }

    [Fact]
    public void What_cannot_be_adapted_or_is_out_of_range_is_refused()
    {
        Assert.Equal(
            "A Tanh cannot be adapted: LoRA needs a Linear or a TransposedLinear here. (Parameter 'module')",
            Assert.Throws<ArgumentException>(() => new LoraLinear(nn.Tanh())).Message);
        nn.Module<Tensor, Tensor> layer = LayerKind.Linear.Make(7, 5);
        Assert.Throws<ArgumentNullException>(() => new LoraLinear(null!));
        Assert.Equal("rank", Assert.Throws<ArgumentOutOfRangeException>(() => new LoraLinear(layer, rank: 0)).ParamName);
        Assert.StartsWith("Alpha must be a finite number.", Assert.Throws<ArgumentOutOfRangeException>(() => new LoraLinear(layer, alpha: double.NaN)).Message, StringComparison.Ordinal);
        Assert.StartsWith("Dropout must be a probability from 0 to 1.", Assert.Throws<ArgumentOutOfRangeException>(() => new LoraLinear(layer, dropout: 1.1)).Message, StringComparison.Ordinal);
        Assert.All(layer.parameters(), parameter => Assert.True(parameter.requires_grad));
    }

    [Fact]
    public void A_dropout_of_1_leaves_the_base_in_training()
    {
        nn.Module<Tensor, Tensor> layer = LayerKind.Linear.Make(7, 5);
        Tensor input = TestModels.Input(), plain = layer.call(input);
        using var lora = new LoraLinear(layer, rank: 2, alpha: 6, dropout: 1);
        Noise.Fill(lora.Adapter.B, 3, 0.5);
        Adapted.AssertSame(plain, lora.call(input));
        lora.eval();
        Assert.True(Adapted.Difference(plain, lora.call(input)) > 0.05);
    }
}
