using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>Adapters with a bias of their own: scaled, merged into the base layer's bias, and refused where there is none.</summary>
public sealed class LoraBiasTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<LayerKind> WithoutBias => [LayerKind.LinearWithoutBias, LayerKind.TransposedWithoutBias, LayerKind.Conv2dWithoutBias];

    public void Dispose() => _scope.Dispose();

    // As long as it is not merged, the base layer needs none.
    [Theory]
    [MemberData(nameof(WithoutBias))]
    public void A_base_without_bias_is_not_merged(LayerKind kind)
    {
        using var folder = new TemporaryFolder();
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind, ScalarType.Float64);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model, Variant.LoraBias));
        Tensor adapted = model.call(kind.Input(3, ScalarType.Float64));
        const string Why = "has no bias, so the adapter's bias (lora_bias) has nothing to be merged into: keep the adapter unmerged, or give the base layer a bias of zeros";
        Assert.Equal(
            $"Nothing was merged, since merging would change what the model computes:\n  - adapter 'default': '_first' {Why}\n  - adapter 'default': '_second' {Why}",
            Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        Assert.Equal(
            $"Adapter 'default' cannot be merged: this layer {Why}. Nothing was merged.",
            Assert.Throws<InvalidOperationException>(() => lora.Layers[0].Layer.Adapters.Merge()).Message);
        Assert.False(lora.IsMerged);
        Adapted.AssertSame(adapted, model.call(kind.Input(3, ScalarType.Float64)));
        lora.Save(folder.Path);
        nn.Module<Tensor, Tensor> again = TestModels.Make(Holder.Field, kind, ScalarType.Float64);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(again, folder.Path);
        Assert.Equal((true, true), (loaded.Config.UseLoraBias, loaded.Layers.All(layer => layer.Layer.Adapter.Bias is not null)));
        Adapted.AssertSame(adapted, again.call(kind.Input(3, ScalarType.Float64)));
    }

    [Fact]
    public void A_file_whose_initialisation_forbids_a_bias_is_refused()
    {
        Assert.Equal(
            ["lora_bias is true, which goes with init_lora_weights true or false only, but that is \"gaussian\"."],
            Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse("""{"peft_type": "LORA", "target_modules": ["a"], "lora_bias": true, "init_lora_weights": "gaussian"}""").ToLoraConfig()).Problems);
        Assert.Contains(
            "lora_bias is true, which does not go with use_dora: a magnitude cannot rescale a bias.",
            Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse("""{"peft_type": "LORA", "target_modules": ["a"], "lora_bias": true, "use_dora": true}""").ToLoraConfig()).Problems);
        Assert.True(PeftAdapterConfig.Parse("""{"peft_type": "LORA", "target_modules": ["a"], "lora_bias": true, "init_lora_weights": false}""").ToLoraConfig().UseLoraBias);
    }
}
