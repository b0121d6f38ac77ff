using Lora.Export.Gguf;
using Lora.Llm.Export;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>Adapters as GGUF files: what llama.cpp's rule makes of them beside the base's file is what the adapter makes of the model.</summary>
public sealed class GgufAdapterTests : IDisposable
{
    private static readonly int[] _ids = [3, 17, 5, 30, 9, 11];
    private readonly TemporaryFolder _folder = new();

    public static IEnumerable<TheoryDataRow<string, string>> Cases => from kind in GgufFolders.Kinds from setting in new[] { "plain", "rslora", "patterns" } select new TheoryDataRow<string, string>(kind, setting);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_with_the_file_are_those_with_the_adapter(string kind, string setting)
    {
        GgufFolders.Make(kind, _folder["model"]);
        LoraConfig config = LoraConfig.AllLinear(rank: 3, alpha: 5) with { UseRankStabilizedScaling = setting == "rslora" };
        if (setting == "patterns")
        {
            config = kind == "gpt2"
                ? config with { RankPattern = new Dictionary<string, int> { ["c_fc"] = 2 }, AlphaPattern = new Dictionary<string, double> { ["attn.c_proj"] = 7.5 } }
                : config with { RankPattern = new Dictionary<string, int> { ["k_proj"] = 2, ["down_proj"] = 4 }, AlphaPattern = new Dictionary<string, double> { ["q_proj"] = 7.5 } };
        }
        IReadOnlyList<string> paths = GgufFolders.Adapt(_folder["model"], _folder["adapter"], config);
        GgufExportResult result = Export();
        Assert.Equal(2 * paths.Count, result.Tensors.Count);
        Assert.Empty(result.Remarks);
        PlainGguf model = GgufFolders.Export(_folder["model"], _folder["model.gguf"]), adapter = new(_folder["adapter.gguf"]);
        Assert.Equal(model.Values["general.architecture"], adapter.Values["general.architecture"]);
        Assert.Equal("adapter", adapter.Values["general.type"]);
        Assert.Equal("lora", adapter.Values["adapter.type"]);
        if (setting != "patterns") Assert.Equal((float)(setting == "rslora" ? 5 * Math.Sqrt(3) : 5), adapter.Values["adapter.lora.alpha"]);
        double[] expected = GgufFolders.Logits(_folder["model"], _folder["adapter"], _ids), bare = GgufFolders.Logits(_folder["model"], null, _ids);
        double[] found = [.. new PlainRuntime(model, adapter).Logits(_ids).SelectMany(row => row)];
        double error = Distance(found, expected), effect = Distance(bare, expected);
        Assert.True(error < 1e-6 * Math.Max(1, effect) && effect > 0.1, $"logits differ by {error:G3}, where the adapter changes them by {effect:G3}");
    }

    [Fact]
    public void Embeddings_and_heads_of_their_own_are_adapted()
    {
        GgufFolders.Make("llama", _folder["model"]);
        GgufFolders.Adapt(_folder["model"], _folder["adapter"], new LoraConfig { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.EndsWith("embed_tokens", "lm_head") });
        Export();
        PlainGguf adapter = new(_folder["adapter.gguf"]);
        Assert.Equal([3L, 37L], adapter.Tensors["token_embd.weight.lora_a"].Sizes);
        Assert.Equal([3L, 20L], adapter.Tensors["token_embd.weight.lora_b"].Sizes);
        Assert.Equal([20L, 3L], adapter.Tensors["output.weight.lora_a"].Sizes);
        double[] found = [.. new PlainRuntime(GgufFolders.Export(_folder["model"], _folder["model.gguf"]), adapter).Logits(_ids).SelectMany(row => row)];
        Assert.InRange(Distance(found, GgufFolders.Logits(_folder["model"], _folder["adapter"], _ids)), 0, 1e-6);
    }

    [Theory]
    [InlineData(GgufType.F16)]
    [InlineData(GgufType.BF16)]
    [InlineData(GgufType.Q80)]
    public void Types_that_rows_do_not_fit_fall_back(GgufType type)
    {
        GgufFolders.Make("llama", _folder["model"]);
        GgufFolders.Adapt(_folder["model"], _folder["adapter"], new LoraConfig { Rank = 32, Alpha = 32, TargetModules = ModuleSelector.EndsWith("v_proj") });
        GgufExportResult result = Export(new GgufAdapterOptions { Type = type });
        bool quantized = type == GgufType.Q80;
        Assert.Equal(
            [.. from layer in new[] { 0, 1 } from part in new[] { ("a", quantized ? GgufType.F16 : type), ("b", type) } select new GgufExportedTensor($"blk.{layer}.attn_v.weight.lora_{part.Item1}", part.Item2)], result.Tensors);
        Assert.Equal(quantized ? ["blk.0.attn_v.weight.lora_a is F16, since its rows hold 20 numbers, no multiple of 32", "blk.1.attn_v.weight.lora_a is F16, since its rows hold 20 numbers, no multiple of 32"] : [], result.Remarks);
        PlainGguf file = new(_folder["adapter.gguf"]);
        using SafetensorsFile weights = SafetensorsFile.Open(Path.Combine(_folder["adapter"], "adapter_model.safetensors"));
        using var scope = NewDisposeScope();
        foreach (int layer in new[] { 0, 1 })
            foreach (string part in new[] { "A", "B" })
                PlainRounding.Check(Models.TinyLlama.Values(weights.ReadTensor($"base_model.model.model.layers.{layer}.self_attn.v_proj.lora_{part}.weight")), file.Numbers($"blk.{layer}.attn_v.weight.lora_{part.ToLowerInvariant()}"),
                    file.Tensors[$"blk.{layer}.attn_v.weight.lora_{part.ToLowerInvariant()}"].Type, part);
    }

    [Fact]
    public void Invocation_tokens_are_written()
    {
        GgufFolders.Make("llama", _folder["model"]);
        GgufFolders.Adapt(_folder["model"], _folder["adapter"], new LoraConfig { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.EndsWith("v_proj"), InvocationTokens = [4, 9], TaskType = "CAUSAL_LM" });
        Export();
        Assert.Equal([4u, 9u], (object[])new PlainGguf(_folder["adapter.gguf"]).Values["adapter.alora.invocation_tokens"]);
    }

    // llama.cpp takes an alpha of 0 for none, and the scale for 1.
    [Fact]
    public void An_alpha_of_0_stays_without_effect()
    {
        GgufFolders.Make("llama", _folder["model"]);
        GgufFolders.Adapt(_folder["model"], _folder["adapter"], LoraConfig.AllLinear(rank: 3, alpha: 5));
        string config = Path.Combine(_folder["adapter"], PeftAdapterConfig.FileName);
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"lora_alpha\": 5", "\"lora_alpha\": 0", StringComparison.Ordinal));
        Export();
        PlainGguf adapter = new(_folder["adapter.gguf"]);
        Assert.Equal(1f, adapter.Values["adapter.lora.alpha"]);
        double[] found = [.. new PlainRuntime(GgufFolders.Export(_folder["model"], _folder["model.gguf"]), adapter).Logits(_ids).SelectMany(row => row)];
        Assert.InRange(Distance(found, GgufFolders.Logits(_folder["model"], null, _ids)), 0, 1e-6);
    }

    private GgufExportResult Export(GgufAdapterOptions? options = null) =>
        GgufAdapterExport.Run(_folder["adapter"], _folder["model"], _folder["adapter.gguf"], options, cancellationToken: TestContext.Current.CancellationToken);

    private static double Distance(double[] a, double[] b)
    {
        Assert.Equal(a.Length, b.Length);
        return a.Zip(b, (x, y) => Math.Abs(x - y)).Max();
    }
}
