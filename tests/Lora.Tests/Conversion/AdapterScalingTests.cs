using Lora.Conversion;
using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Conversion;

/// <summary>The same update by another convention of scale.</summary>
[Collection(Alone.Name)]
public sealed class AdapterScalingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<LayerKind, Variant, ScalarType> Cases
    {
        get
        {
            var data = new TheoryData<LayerKind, Variant, ScalarType>();
            foreach (LayerKind kind in new[] { LayerKind.Linear, LayerKind.Transposed, LayerKind.Conv2dRectangular })
                foreach (Variant variant in new[] { Variant.Plain, Variant.RankStabilized, Variant.LoraBias, Variant.Patterns }) data.Add(kind, variant, ScalarType.Float32);
            data.Add(LayerKind.Embedding, Variant.Patterns, ScalarType.Float32);
            data.Add(LayerKind.Linear, Variant.Patterns, ScalarType.BFloat16);
            data.Add(LayerKind.Linear, Variant.RankStabilized, ScalarType.Float64);
            return data;
        }
    }

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Folding_and_back(LayerKind kind, Variant variant, ScalarType type)
    {
        Dictionary<string, Tensor> before = Save(kind, variant, type);
        AdapterScaling.Fold(_folder["a"], _folder["folded"]);
        LoraConfig folded = AssertSame(before, "folded", kind, type, scale: (_, _) => 1);
        Assert.False(folded.UseRankStabilizedScaling);
        AdapterScaling.Unfold(_folder["folded"], _folder["back"], alpha: 3, useRankStabilizedScaling: true);
        AssertSame(before, "back", kind, type, scale: (_, rank) => 3 / Math.Sqrt(rank));
        // Each folder may be its own destination.
        AdapterScaling.Unfold(_folder["back"], _folder["back"], alpha: 5);
        AssertSame(before, "back", kind, type, scale: (_, rank) => 5.0 / rank);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Rank_stabilised_and_back(LayerKind kind, Variant variant, ScalarType type)
    {
        Dictionary<string, Tensor> before = Save(kind, variant, type);
        AdapterScaling.ToRankStabilized(_folder["a"], _folder["rs"]);
        Assert.True(AssertSame(before, "rs", kind, type).UseRankStabilizedScaling);
        AdapterScaling.ToPlain(_folder["rs"], _folder["plain"]);
        Assert.False(AssertSame(before, "plain", kind, type).UseRankStabilizedScaling);
        foreach (string folder in new[] { "rs", "plain" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(_folder["a"], "adapter_model.safetensors")), File.ReadAllBytes(Path.Combine(_folder[folder], "adapter_model.safetensors")));
    }

    [Fact]
    public void Multiplying_rounds_once()
    {
        Save(LayerKind.Linear, Variant.RankStabilized, ScalarType.Float32);
        AdapterScaling.Fold(_folder["a"], _folder["folded"]);
        using SafetensorsFile old = SafetensorsFile.Open(Path.Combine(_folder["a"], "adapter_model.safetensors")), folded = SafetensorsFile.Open(Path.Combine(_folder["folded"], "adapter_model.safetensors"));
        foreach (string name in old.Entries.Select(entry => entry.Name))
        {
            Tensor expected = name.Contains("lora_B", StringComparison.Ordinal) ? old.ReadTensor(name).to(ScalarType.Float64).mul(5 / Math.Sqrt(2)).to(ScalarType.Float32) : old.ReadTensor(name);
            Adapted.AssertSame(expected, folded.ReadTensor(name));
        }
    }

    [Fact]
    public void What_is_beside_the_factors_is_copied()
    {
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["_second"] })) lora.Save(_folder["a"]);
        string config = Path.Combine(_folder["a"], "adapter_config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"revision\": null", "\"revision\": null,\n  \"trained_by\": \"someone\"", StringComparison.Ordinal));
        AdapterScaling.Fold(_folder["a"], _folder["b"]);
        Assert.Equal("someone", PeftAdapterConfig.Load(Path.Combine(_folder["b"], "adapter_config.json")).Fields["trained_by"].GetString());
        using SafetensorsFile old = SafetensorsFile.Open(Path.Combine(_folder["a"], "adapter_model.safetensors")), copied = SafetensorsFile.Open(Path.Combine(_folder["b"], "adapter_model.safetensors"));
        Assert.Equal(old.Entries.Select(entry => entry.ToString()), copied.Entries.Select(entry => entry.ToString()));
        Assert.Equal(old.Metadata, copied.Metadata);
        Adapted.AssertSame(old.ReadTensor("base_model.model._second.weight"), copied.ReadTensor("base_model.model._second.weight"));
    }

    [Fact]
    public void What_cannot_be_told_is_refused()
    {
        using (LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(AttentionModel.Make(swap: true), AttentionModel.Config with { AlphaPattern = new Dictionary<string, double> { ["_first"] = 3 } }))) lora.Save(_folder["a"]);
        var thrown = Assert.Throws<AdapterFormatException>(() => AdapterScaling.Fold(_folder["a"], _folder["b"]));
        Assert.Equal(["rank_pattern or alpha_pattern is set, and the file does not tell what holds for base_model.model._first.base_layer.out_proj.lora_A.weight, which is inside another layer"], thrown.Problems);
        Assert.Equal(_folder["a"], thrown.Path);
        Assert.Throws<ArgumentOutOfRangeException>(() => AdapterScaling.Unfold(_folder["a"], _folder["b"], 0));
        Assert.False(Directory.Exists(_folder["b"]));
    }

    [Fact]
    public void An_attention_without_patterns_is_folded_too()
    {
        Tensor input = AttentionModel.Input(), expected;
        using (LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(AttentionModel.Make(swap: true), AttentionModel.Config)))
        {
            expected = lora.Model.call(input);
            lora.Save(_folder["a"]);
        }
        AdapterScaling.Fold(_folder["a"], _folder["b"]);
        using LoraModel<AttentionModel> folded = LoraModel.Load(AttentionModel.Make(swap: true), _folder["b"]);
        Assert.InRange(Adapted.Difference(expected, folded.Model.call(input)), 0, 1e-13);
    }

    [Fact]
    public void Nothing_stays_alive()
    {
        Save(LayerKind.Linear, Variant.Patterns, ScalarType.Float32);
        Leaks.AssertNone(3, () =>
        {
            AdapterScaling.Fold(_folder["a"], _folder["b"]);
            AdapterScaling.ToRankStabilized(_folder["b"], _folder["c"]);
        });
    }

    private Dictionary<string, Tensor> Save(LayerKind kind, Variant variant, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TwoModels.Base(kind, type);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model, variant), new WrapOptions { UpcastAdapters = false });
        lora.Save(_folder["a"]);
        return lora.Layers.ToDictionary(layer => layer.Path, layer => layer.Layer.Adapter.ComputeDelta().to(ScalarType.Float64));
    }

    private LoraConfig AssertSame(Dictionary<string, Tensor> before, string folder, LayerKind kind, ScalarType type, Func<string, int, double>? scale = null)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(TwoModels.Base(kind, type), _folder[folder], new WrapOptions { UpcastAdapters = false });
        Assert.Empty(lora.LoadReport);
        double allowed = type switch { ScalarType.Float64 => 1e-14, ScalarType.Float32 => 1e-6, _ => 1e-2 };
        foreach (AdapterLayer layer in lora.Layers)
        {
            LoraAdapter adapter = layer.Layer.Adapter;
            Assert.InRange(TwoModels.Norm(adapter.ComputeDelta().to(ScalarType.Float64).sub(before[layer.Path])) / TwoModels.Norm(before[layer.Path]), 0, allowed);
            if (scale is not null) Assert.Equal(scale(layer.Path, adapter.Rank), adapter.Scale, 1e-12);
        }
        return lora.Config;
    }
}
