using Lora.Conversion;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Conversion;

/// <summary>Adapters of the difference of two checkpoints, of which one tensor is read at a time.</summary>
[Collection(Alone.Name)]
public sealed class CheckpointExtractionTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(LayerKind.Linear)]
    [InlineData(LayerKind.Conv2dRectangular)]
    [InlineData(LayerKind.ConvTranspose1d)]
    public void Files_give_what_the_models_give(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> before = TwoModels.Base(kind), after = TwoModels.Tuned(kind, withBiases: true);
        ExtractionOptions options = new() { EnergyThreshold = 0.8, TargetModules = ModuleSelector.EndsWith("_first", "_second"), Untargeted = UntargetedDifferences.Save };
        ExtractionResult expected = LoraExtraction.FromModels(before, after, _folder["models"], options);
        TwoModels.Save(_folder["base.safetensors"], before);
        TwoModels.SaveSharded(_folder["tuned"], after.state_dict(), shards: 3);
        ExtractionResult found = LoraExtraction.FromCheckpoints(_folder["base.safetensors"], _folder["tuned"], _folder["files"], options, TwoModels.Base(kind));
        Assert.Equal(expected.Layers.OrderBy(layer => layer.Path), found.Layers.OrderBy(layer => layer.Path));
        Assert.Equal(expected.Untargeted.OrderBy(difference => difference.Name), found.Untargeted.OrderBy(difference => difference.Name));
        foreach (string file in new[] { "adapter_model.safetensors", "adapter_config.json" })
            Assert.Equal(File.ReadAllBytes(Path.Combine(_folder["models"], file)), File.ReadAllBytes(Path.Combine(_folder["files"], file)));
    }

    [Fact]
    public void Names_shapes_and_the_family_say_what_layers_are_where_there_are_only_files()
    {
        (string Name, long[] Shape)[] shapes =
        [
            ("h.0.attn.c_attn.weight", [4, 12]), ("h.0.attn.c_attn.bias", [12]), ("h.0.ln_1.weight", [4]), ("h.1.attn.c_attn.weight", [4, 12]), ("h.1.attn.c_attn.bias", [12]), ("h.1.ln_1.weight", [4]),
            ("wte.weight", [9, 4]), ("stem.weight", [6, 3, 2, 2]), ("proj.weight", [5, 4]), ("lm_head.weight", [9, 4]),
        ];
        int seed = 500;
        Dictionary<string, Tensor> before = shapes.ToDictionary(pair => pair.Name, pair => Noise.Fill(empty(pair.Shape), seed++, 1));
        Dictionary<string, Tensor> after = shapes.ToDictionary(pair => pair.Name, pair => Noise.Fill(empty(pair.Shape), seed++, 1));
        TwoModels.SaveSharded(_folder["base"], before, shards: 2);
        TwoModels.SaveSharded(_folder["tuned"], after, shards: 1);
        File.WriteAllText(Path.Combine(_folder["base"], "config.json"), """{"model_type": "gpt2"}""");
        ExtractionResult result = LoraExtraction.FromCheckpoints(
            _folder["base"], _folder["tuned"], _folder["adapter"], new ExtractionOptions { Rank = 2, TargetModules = ModuleSelector.EndsWith("c_attn", "wte", "stem", "proj"), TaskType = "CAUSAL_LM", BaseModelNameOrPath = "gpt2" });
        Assert.Equal(["h.0.attn.c_attn.bias", "h.0.ln_1.weight", "h.1.attn.c_attn.bias", "h.1.ln_1.weight", "lm_head.weight"], result.Untargeted.Select(difference => difference.Name).Order());
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder["adapter"], "adapter_model.safetensors"));
        Assert.Equal(
            [
                "h.0.attn.c_attn.lora_A.weight F32 [2, 4]", "h.0.attn.c_attn.lora_B.weight F32 [12, 2]", "h.1.attn.c_attn.lora_A.weight F32 [2, 4]", "h.1.attn.c_attn.lora_B.weight F32 [12, 2]",
                "proj.lora_A.weight F32 [2, 4]", "proj.lora_B.weight F32 [5, 2]", "stem.lora_A.weight F32 [2, 3, 2, 2]", "stem.lora_B.weight F32 [6, 2, 1, 1]", "wte.lora_embedding_A F32 [2, 9]", "wte.lora_embedding_B F32 [4, 2]",
            ],
            file.Entries.Select(entry => entry.ToString()["base_model.model.".Length..]).Order(StringComparer.Ordinal));
        PeftAdapterConfig config = PeftAdapterConfig.Load(Path.Combine(_folder["adapter"], "adapter_config.json"));
        Assert.True(config.Fields["fan_in_fan_out"].GetBoolean());
        Assert.Equal(ModuleSelector.EndsWith("c_attn", "wte", "stem", "proj"), config.ToLoraConfig().TargetModules);
    }

    [Fact]
    public void All_linear_means_all_but_the_head_and_what_only_the_model_could_tell_is_refused()
    {
        string[] names = ["a.q.weight", "a.qkv.weight", "lm_head.weight", "embed_tokens.weight"];
        Dictionary<string, Tensor> before = names.ToDictionary(name => name, name => ones(3, 4)), after = names.ToDictionary(name => name, name => Noise.Fill(empty(3, 4), name.Length, 1));
        before["depth.weight"] = after["depth.weight"] = ones(6, 1, 3);
        before["norm.weight"] = after["norm.weight"] = ones(6);
        SafetensorsWriter.Save(_folder["base.safetensors"], before);
        SafetensorsWriter.Save(_folder["tuned.safetensors"], after);
        ExtractionResult result = Extract(new ExtractionOptions { Rank = 1 });
        Assert.Equal(["a.q", "a.qkv"], result.Layers.Select(layer => layer.Path).Order());
        Assert.Equal(["embed_tokens.weight", "lm_head.weight"], result.Untargeted.Select(difference => difference.Name).Order());
        var thrown = Assert.Throws<ArgumentException>(() => Extract(new ExtractionOptions { Rank = 1, TargetModules = ModuleSelector.EndsWith("depth", "norm", "a") }));
        Assert.Equal(
            "No adapter can be extracted:\n  - 'depth' may be a convolution in groups, since its kernel has one input channel, and a file does not say it: give the model, or leave it out of the targets\n"
            + "  - 'norm' has a vector for its weight, of which no adapter can be made: leave it out of the targets\n"
            + "  - TargetModules names 'a', but 'a' has no tensor 'weight' that an adapter could be made of: name the layers in it, or leave it out",
            thrown.Message);
        // 'q' alone would be the end of no other path, so the choice is kept; a path that is another's end needs a pattern.
        Assert.Equal(ModuleSelector.EndsWith("q"), Extract(new ExtractionOptions { Rank = 1, TargetModules = ModuleSelector.EndsWith("q") }).Config.TargetModules);
    }

    [Fact]
    public void A_path_that_is_the_end_of_another_is_picked_by_a_pattern()
    {
        Dictionary<string, Tensor> before = new() { ["q.weight"] = ones(3, 4), ["a.q.weight"] = ones(3, 4) }, after = new() { ["q.weight"] = Noise.Fill(empty(3, 4), 5, 1), ["a.q.weight"] = ones(3, 4) };
        SafetensorsWriter.Save(_folder["base.safetensors"], before);
        SafetensorsWriter.Save(_folder["tuned.safetensors"], after);
        ExtractionResult result = Extract(new ExtractionOptions { Rank = 1 });
        Assert.Equal(ModuleSelector.Regex("q"), result.Config.TargetModules);
        Assert.Equal(["a.q"], result.Unchanged);
    }

    [Fact]
    public void Nothing_stays_alive_and_one_tensor_is_in_memory_at_a_time()
    {
        Dictionary<string, Tensor> before = Enumerable.Range(0, 60).ToDictionary(i => $"layers.{i}.weight", i => zeros(200, 200)), after = new(before);
        after["layers.3.weight"] = Noise.Fill(empty(200, 200), 3, 1);
        after["layers.50.weight"] = Noise.Fill(empty(200, 200), 4, 1);
        SafetensorsWriter.Save(_folder["base.safetensors"], before);
        TwoModels.SaveSharded(_folder["tuned"], after, shards: 2);
        void Run() => LoraExtraction.FromCheckpoints(_folder["base.safetensors"], _folder["tuned"], _folder["adapter"], new ExtractionOptions { Rank = 3 });
        Leaks.AssertNone(2, Run);
        Leaks.AssertNone(2, () => Assert.Throws<ArgumentException>(() => LoraExtraction.FromCheckpoints(_folder["base.safetensors"], _folder["base.safetensors"], _folder["adapter"], new ExtractionOptions { Rank = 3 })));
        Assert.InRange(AllocatedMemory.PeakOf(Run), 1, 60 * 200 * 200 * sizeof(float) / 2);
    }

    private ExtractionResult Extract(ExtractionOptions options) => LoraExtraction.FromCheckpoints(_folder["base.safetensors"], _folder["tuned.safetensors"], _folder["adapter"], options);
}
