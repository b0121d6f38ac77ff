using Lora.Llm.Export;
using Lora.Llm.Tests.Models;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>What the usual conversion to GGUF loses.</summary>
public sealed class GgufDefectTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>The conversion writes lora_alpha, whatever scale the layers have; llama.cpp divides it by the rank of each.</summary>
    [Theory]
    [InlineData("llama", true, false, 1.0)]
    [InlineData("llama", false, true, 0.7)]
    [InlineData("llama", true, true, 1.3)]
    [InlineData("qwen2", true, true, 0.4)]
    public void Defect13_Each_layer_has_its_own_scale_in_a_GGUF_file(string kind, bool stabilized, bool patterns, double userScale)
    {
        GgufFolders.Make(kind, _folder["model"]);
        LoraConfig config = LoraConfig.AllLinear(rank: 4, alpha: 6) with { UseRankStabilizedScaling = stabilized };
        if (patterns) config = config with { RankPattern = new Dictionary<string, int> { ["q_proj"] = 2, ["up_proj"] = 9 }, AlphaPattern = new Dictionary<string, double> { ["k_proj"] = 1.5, ["layers.1.mlp.down_proj"] = 11 } };
        IReadOnlyList<string> paths = GgufFolders.Adapt(_folder["model"], _folder["adapter"], config);
        GgufAdapterExport.Run(_folder["adapter"], _folder["model"], _folder["adapter.gguf"], cancellationToken: TestContext.Current.CancellationToken);
        var file = new PlainGguf(_folder["adapter.gguf"]);
        using SafetensorsFile weights = SafetensorsFile.Open(Path.Combine(_folder["adapter"], "adapter_model.safetensors"));
        using var scope = NewDisposeScope();
        var scales = new HashSet<double>();
        foreach (string path in paths)
        {
            int rank = config.RankFor(path);
            double scale = stabilized ? config.AlphaFor(path) / Math.Sqrt(rank) : config.AlphaFor(path) / rank;
            scales.Add(Math.Round(scale * rank, 9));
            double[] expected = TinyLlama.Values(weights.ReadTensor($"base_model.model.{path}.lora_B.weight").to(ScalarType.Float64).matmul(weights.ReadTensor($"base_model.model.{path}.lora_A.weight").to(ScalarType.Float64)).mul(scale * userScale));
            string name = $"blk.{path.Split('.')[2]}.{NameOf(path)}.weight";
            int inputs = (int)file.Tensors[$"{name}.lora_a"].Sizes[0], outputs = (int)file.Tensors[$"{name}.lora_b"].Sizes[1];
            Assert.Equal([inputs, rank], file.Tensors[$"{name}.lora_a"].Sizes);
            Assert.Equal([rank, outputs], file.Tensors[$"{name}.lora_b"].Sizes);
            double[] a = file.Numbers($"{name}.lora_a"), b = file.Numbers($"{name}.lora_b");
            for (int row = 0; row < outputs; row++)
            {
                int source = kind == "llama" && NameOf(path) is "attn_q" or "attn_k" && kind == "llama" ? HalfOf(row) : row;
                for (int column = 0; column < inputs; column++)
                {
                    double found = userScale * file.Number("adapter.lora.alpha") / rank * Enumerable.Range(0, rank).Sum(r => b[row * rank + r] * a[r * inputs + column]);
                    Assert.Equal(expected[source * inputs + column], found, 1e-6);
                }
            }
        }
        Assert.True(!patterns || scales.Count > 2, "the layers have the same scale");
    }

    // Heads of four components: neighbours 0 and 1 are the pair of components 0 and 2.
    private static int HalfOf(int row) => row / 4 * 4 + new[] { 0, 2, 1, 3 }[row % 4];

    private static string NameOf(string path) => path.Split('.')[^1] switch
    {
        "q_proj" => "attn_q",
        "k_proj" => "attn_k",
        "v_proj" => "attn_v",
        "o_proj" => "attn_output",
        string other => $"ffn_{other.Split('_')[0]}",
    };
}
