using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization.Formats;

/// <summary>Adapters of fused layers in a file that PEFT reads; RecheckTests writes such for PEFT itself.</summary>
public sealed class ExpandedTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [InlineData(LayerKind.FusedLinear, Variant.Plain)]
    [InlineData(LayerKind.FusedLinear, Variant.RankStabilized)]
    [InlineData(LayerKind.FusedTransposed, Variant.Patterns)]
    public void A_fused_layer_is_read_as_a_plain_one_of_more_rank(LayerKind kind, Variant variant)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
        Tensor expected, x = TestModels.Input();
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model, variant), kind.Options(model)))
        {
            expected = model.call(x);
            int[] ranks = [.. lora.Layers.Select(layer => layer.Layer.Adapter.Rank)];
            lora.SaveAdapter("default", _folder.Path, AdapterFormat.PeftExpanded);
            Assert.Equal(ranks, lora.Layers.Select(layer => lora.Config.RankFor(layer.Path)));
        }
        using var loaded = LoraModel.Load(model, _folder.Path);
        Assert.Equal(variant == Variant.Patterns ? [8, 4] : [4, 4], loaded.Layers.Select(layer => layer.Layer.Adapter.Rank));
        Adapted.AssertClose(expected, model.call(x));
        using SafetensorsFile file = SafetensorsFile.Open(_folder["adapter_model.safetensors"]);
        Tensor b = file.ReadTensor("base_model.model._first.lora_B.weight");
        // The parts are 1, 3 and 1 wide; the middle one has no pair.
        Assert.Equal(0, b.narrow(0, 1, 3).count_nonzero().item<long>());
        Assert.Equal(0, b.narrow(0, 0, 1).narrow(1, b.shape[1] / 2, b.shape[1] / 2).count_nonzero().item<long>());
        Assert.Equal(0, b.narrow(0, 4, 1).narrow(1, 0, b.shape[1] / 2).count_nonzero().item<long>());
    }

    [Fact]
    public void Other_layers_are_written_as_ever()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        lora.Save(_folder["a"]);
        lora.SaveAdapter("default", _folder["b"], AdapterFormat.PeftExpanded);
        lora.SaveAdapter("default", _folder["c"], AdapterFormat.Peft);
        foreach (string file in new[] { "adapter_config.json", "adapter_model.safetensors" })
        {
            Assert.Equal(File.ReadAllBytes(_folder[$"a/{file}"]), File.ReadAllBytes(_folder[$"b/{file}"]));
            Assert.Equal(File.ReadAllBytes(_folder[$"a/{file}"]), File.ReadAllBytes(_folder[$"c/{file}"]));
        }
    }
}
