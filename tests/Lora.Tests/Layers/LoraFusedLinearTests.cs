using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>Fused projections: each enabled part has a pair of its own, the others are the base's.</summary>
public sealed class LoraFusedLinearTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(LayerKind.Linear)]
    [InlineData(LayerKind.Transposed)]
    public void Each_enabled_part_gets_its_own_term(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> layer = kind.Make(7, 12, ScalarType.Float64);
        Tensor input = TestModels.Input(3, ScalarType.Float64), plain = layer.call(input);
        using var lora = new LoraFusedLinear(layer, [true, false, true], rank: 2, alpha: 6);
        Adapted.AssertSame(plain, lora.call(input));
        LoraAdapter adapter = lora.Adapter;
        Assert.Equal([4, 7], adapter.A.shape);
        Assert.Equal([8, 2], adapter.B.shape);
        Assert.Equal("7→4+-+4", lora.Signature);
        Assert.Equal([true, false, true], lora.EnabledParts);
        Noise.Fill(adapter.A, 2, 0.5);
        Noise.Fill(adapter.B, 3, 0.5);
        Tensor query = input.matmul(adapter.A.narrow(0, 0, 2).t()).matmul(adapter.B.narrow(0, 0, 4).t()).mul(3);
        Tensor value = input.matmul(adapter.A.narrow(0, 2, 2).t()).matmul(adapter.B.narrow(0, 4, 4).t()).mul(3);
        Tensor expected = plain.add(cat([query, zeros_like(query), value], -1));
        Adapted.AssertRelativelyClose(expected, lora.call(input));
        Adapted.AssertRelativelyClose(expected, plain.add(input.matmul(adapter.ComputeDelta().t())));
        lora.Adapters.Merge();
        Adapted.AssertRelativelyClose(expected, layer.call(input));
        Tensor key = layer.call(input).narrow(-1, 4, 4);
        lora.Adapters.Unmerge();
        Adapted.AssertRelativelyClose(plain.narrow(-1, 4, 4), key);
    }

    [Fact]
    public void All_parts_enabled_are_as_many_linear_layers()
    {
        nn.Module<Tensor, Tensor> layer = LayerKind.Linear.Make(7, 6, ScalarType.Float64);
        Tensor input = TestModels.Input(2, ScalarType.Float64);
        using var lora = new LoraFusedLinear(layer, [true, true], rank: 3, alpha: 5, partWidths: [2, 4]);
        Noise.Fill(lora.Adapter.A, 2, 0.5);
        Noise.Fill(lora.Adapter.B, 3, 0.5);
        for (int part = 0; part < 2; part++)
        {
            (long start, long width) = part == 0 ? (0, 2) : (2, 4);
            var alone = nn.Linear(7, width, device: TestDevice.Current, dtype: ScalarType.Float64);
            using var noGrad = no_grad();
            alone.weight!.copy_(((TorchSharp.Modules.Linear)layer).weight!.narrow(0, start, width));
            alone.bias!.copy_(((TorchSharp.Modules.Linear)layer).bias!.narrow(0, start, width));
            using var single = new LoraLinear(alone, rank: 3, alpha: 5);
            single.Adapter.A.copy_(lora.Adapter.A.narrow(0, part * 3, 3));
            single.Adapter.B.copy_(lora.Adapter.B.narrow(0, start, width));
            Adapted.AssertRelativelyClose(single.call(input), lora.call(input).narrow(-1, start, width));
        }
    }

    [Fact]
    public void A_kind_picks_the_layers_by_name()
    {
        using var folder = new TemporaryFolder();
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        var options = new WrapOptions { LayerKinds = [new FusedLinearKind(ModuleSelector.EndsWith("_second"), [false, true, true])] };
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, options: options))
        {
            Assert.Equal(["_first  Linear 7→5  r=2 α=5 (swapped)", "_second  Linear 5→-+1+1  r=2 α=5 (swapped)"], lora.Layers.Select(layer => layer.ToString()));
            lora.Save(folder.Path);
        }
        using (SafetensorsFile file = SafetensorsFile.Open(folder[AdapterFolder.WeightsName]))
            Assert.Equal([4, 5], file.Entries.Single(entry => entry.Name == "base_model.model._second.lora_A.weight").Shape);
        // Without the kind its shapes do not fit.
        Assert.Contains(
            "tensor base_model.model._second.lora_A.weight has the shape [4, 5], but [2, 5] is needed",
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(model, folder.Path)).Message, StringComparison.Ordinal);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(model, folder.Path, options);
        Assert.Empty(loaded.LoadReport);
    }

    [Fact]
    public void Parts_that_do_not_add_up_are_refused()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        string Refusal(bool[] enabled, long[]? widths = null, LoraConfig? config = null) => Assert.Throws<ArgumentException>(() => LoraModel.Wrap(
            model, config ?? Adapted.Config, new WrapOptions { LayerKinds = [new FusedLinearKind(ModuleSelector.EndsWith("_first"), enabled, widths)] })).Message;
        string Text(string clause) => $"The model cannot be wrapped:\n  - '_first' {clause} (Parameter 'config')";
        Assert.Equal(Text("has an output of 5, which cannot be cut into 3 equal parts: give the widths of the parts"), Refusal([true, false, true]));
        Assert.Equal(Text("has no enabled part: enable one at least, or leave the layer out of the targets"), Refusal([false]));
        Assert.Equal(Text("is given 1 widths for 2 parts: give one for each"), Refusal([true, true], [5]));
        Assert.Equal(Text("has an output of 5, but is given parts of 2 + 2 = 4: give positive widths that add up to it"), Refusal([true, true], [2, 2]));
        Assert.Equal(
            Text("is a fused layer, whose adapter cannot have a bias (lora_bias): leave it out of the targets, or adapt it under a configuration of its own"),
            Refusal([true], config: Adapted.Config with { UseLoraBias = true }));
        Assert.Equal(
            "The layer has no enabled part: enable one at least, or leave the layer out of the targets. (Parameter 'enabled')",
            Assert.Throws<ArgumentException>(() => new LoraFusedLinear(nn.Linear(7, 6), [false, false])).Message);
    }
}
