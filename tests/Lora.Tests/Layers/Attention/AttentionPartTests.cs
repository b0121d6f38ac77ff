using System.Text.Json;
using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Layers.Attention;

/// <summary>An adapter on one of an attention's two weights is saved so that PEFT, which adapts both or none, computes the same.</summary>
public sealed class AttentionPartTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("_first.in_proj _second.out_proj", null, """["_first", "_second"]""", """["_first.out_proj", "_second.in_proj"]""")]
    [InlineData("_first.in_proj _second", "_second.out_proj", """["_first", "_second"]""", """["_first.out_proj", "_second.out_proj"]""")]
    [InlineData("out_proj", null, """["_first", "_second"]""", """["_first.in_proj", "_second.in_proj"]""")]
    [InlineData("_first _second", "_first.in_proj", """["_first", "_second"]""", """["_first.in_proj"]""")]
    [InlineData("/_first.in_proj|_second", "/_second.in_proj", """["_first", "_second"]""", "\"(?:_second.in_proj)|_first\\\\.out_proj|_second\\\\.in_proj\"")]
    [InlineData("/_first.in_proj|_second", null, "\"_first|_second\"", """["_first.out_proj"]""")]
    public void The_layer_is_the_target_and_the_other_weight_is_excluded_and_zero(string targets, string? excluded, string savedTargets, string savedExclusions)
    {
        using AttentionModel model = AttentionModel.Make(swap: true), other = AttentionModel.Make(swap: false);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(
            model, AttentionModel.Config with { TargetModules = Selector(targets), ExcludedModules = excluded is null ? null : Selector(excluded) }));
        lora.Save(_folder.Path);

        PeftAdapterConfig config = PeftAdapterConfig.Load(_folder[PeftAdapterConfig.FileName]);
        Assert.Equal(savedTargets, Sorted(config.Fields["target_modules"]));
        Assert.Equal(savedExclusions, Sorted(config.Fields["exclude_modules"]));
        using (SafetensorsFile file = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName]))
        {
            Assert.Equal(8, file.Entries.Count);
            foreach (AdapterLayer layer in lora.Layers)
            {
                var adapter = (CompositeAdapter)layer.Layer.Adapter;
                foreach ((string part, string prefix) in new[] { ("in_proj", ""), ("out_proj", "base_layer.out_proj.") })
                {
                    foreach (string half in new[] { "A", "B" })
                    {
                        Tensor saved = file.ReadTensor($"base_model.model.{layer.Path}.{prefix}lora_{half}.weight", TestDevice.Current);
                        Assert.Equal(adapter.Part(part) is null, saved.count_nonzero().item<long>() == 0);
                        Assert.Equal(half == "A" ? [2, 6] : [part == "in_proj" ? 18 : 6, 2], saved.shape);
                    }
                }
            }
        }

        byte[] weights = File.ReadAllBytes(_folder[AdapterFolder.WeightsName]), json = File.ReadAllBytes(_folder[PeftAdapterConfig.FileName]);
        using LoraModel<AttentionModel> loaded = LoraModel.Load(other, _folder.Path);
        Assert.Empty(loaded.LoadReport);
        Assert.Equal(Parts(lora), Parts(loaded));
        using (no_grad()) Adapted.AssertSame(model.call(AttentionModel.Input()), other.call(AttentionModel.Input()));
        loaded.Save(_folder.Path);
        Assert.Equal(weights, File.ReadAllBytes(_folder[AdapterFolder.WeightsName]));
        Assert.Equal(json, File.ReadAllBytes(_folder[PeftAdapterConfig.FileName]));
    }

    [Fact]
    public void A_weight_that_is_left_out_must_be_zero_in_the_file()
    {
        using AttentionModel model = AttentionModel.Make(swap: true), other = AttentionModel.Make(swap: true);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config with { TargetModules = ModuleSelector.EndsWith("_first") }));
        lora.Save(_folder.Path);
        PeftAdapterConfig config = PeftAdapterConfig.Load(_folder[PeftAdapterConfig.FileName]);
        config.With(config.ToLoraConfig() with { ExcludedModules = ModuleSelector.EndsWith("_first.out_proj") }).Save(_folder[PeftAdapterConfig.FileName]);
        Assert.Equal(
            [
                "tensor base_model.model._first.base_layer.out_proj.lora_A.weight is not zero, but target_modules and exclude_modules leave that weight out",
                "tensor base_model.model._first.base_layer.out_proj.lora_B.weight is not zero, but target_modules and exclude_modules leave that weight out",
            ],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(other, _folder.Path)).Problems);
    }

    private static IEnumerable<string> Parts(LoraModel<AttentionModel> lora) => lora.Layers.SelectMany(layer => ((CompositeAdapter)layer.Layer.Adapter).PartNames);

    private static ModuleSelector Selector(string text) => text[0] == '/' ? ModuleSelector.Regex(text[1..]) : ModuleSelector.EndsWith(text.Split(' '));

    private static string Sorted(JsonElement value) => value.ValueKind == JsonValueKind.Array
        ? $"[{string.Join(", ", value.EnumerateArray().Select(item => item.GetRawText()).Order(StringComparer.Ordinal))}]"
        : value.GetRawText();
}
