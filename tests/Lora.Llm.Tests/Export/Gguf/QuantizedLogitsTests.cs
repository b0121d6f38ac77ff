using Lora.Export.Gguf;
using Lora.Llm.Export;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>Weights that are steps of a type lose nothing in it: then the logits are the model's own to the last digits, in every type.</summary>
public sealed class QuantizedLogitsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("llama", GgufType.F16)]
    [InlineData("llama", GgufType.BF16)]
    [InlineData("llama", GgufType.Q80)]
    [InlineData("llama", GgufType.Q40)]
    [InlineData("qwen3", GgufType.Q80)]
    [InlineData("qwen3", GgufType.Q40)]
    [InlineData("gpt2", GgufType.Q80)]
    [InlineData("gpt2", GgufType.Q40)]
    public void Logits_of_steps_are_exact(string kind, GgufType type)
    {
        Make(kind, type);
        GgufExportResult result = GgufModelExport.Run(_folder["model"], _folder["out.gguf"], new GgufModelOptions { Type = type, IncludeTokenizer = false }, cancellationToken: TestContext.Current.CancellationToken);
        PlainGguf file = new(_folder["out.gguf"]);
        // Norms, biases and positions stay wide; the head of a file in 4 bits has 8.
        foreach (PlainGguf.Tensor tensor in file.Tensors.Values)
        {
            bool isWide = tensor.Sizes.Length == 1 || tensor.Name == "position_embd.weight";
            Assert.Equal(isWide ? GgufType.F32 : type == GgufType.Q40 && tensor.Name == "output.weight" ? GgufType.Q80 : type, (GgufType)tensor.Type);
        }
        Assert.Equal(type == GgufType.Q40 ? ["output.weight is Q8_0, since it is the output head"] : [], result.Remarks);
        int[] ids = [3, 17, 5, 30];
        double[] expected = GgufFolders.Logits(_folder["model"], null, ids), found = [.. new PlainRuntime(file).Logits(ids).SelectMany(row => row)];
        double spread = expected.Max() - expected.Min(), error = expected.Zip(found, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(error < 2e-6 * spread && spread > 0.1, $"logits differ by {error:G3} where they spread over {spread:G3}");
    }

    // Rows hold 64 numbers: two blocks. Each has the number farthest from zero that makes the scale a power of two, the head's one for 8 bits.
    private void Make(string kind, GgufType type)
    {
        GgufFolders.Make(kind, _folder["model"], width: 64);
        string path = Path.Combine(_folder["model"], "model.safetensors");
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors;
        using (SafetensorsFile file = SafetensorsFile.Open(path)) tensors = file.Entries.ToDictionary(entry => entry.Name, entry => file.ReadTensor(entry.Name));
        foreach ((string name, Tensor tensor) in tensors.Where(pair => pair.Value.dim() == 2))
        {
            bool turns = kind == "gpt2" && name.Contains(".c_", StringComparison.Ordinal);
            int bits = type == GgufType.Q80 || (type == GgufType.Q40 && name == "lm_head.weight") ? 8 : 4, half = bits == 8 ? 127 : 7, extreme = bits == 8 ? 127 : -8;
            Tensor steps = (turns ? tensor.t() : tensor).mul(4 * half).round().clamp(-half, half).contiguous();
            steps.view(-1, 32).select(1, 5).fill_(extreme);
            Tensor numbers = steps.mul(Math.Pow(2, bits == 8 ? -9 : -5));
            tensors[name] = (turns ? numbers.t() : numbers).contiguous();
        }
        SafetensorsWriter.Save(path, tensors);
    }
}
