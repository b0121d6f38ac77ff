using System.Text.Json;
using Lora.Export;
using Lora.Export.Gguf;
using Lora.Llm.Export;
using Lora.Llm.Tests.Golden;
using Lora.Llm.Tests.Models;
using Lora.Tests;
using Lora.Tests.Golden;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>Folders of transformers and adapters of PEFT as GGUF files: what llama.cpp's rules make of a file's tensors is what the merged model computes.</summary>
public sealed class GoldenGgufModelTests(ITestOutputHelper output)
{
    private static readonly string[] _families = ["gpt2", "llama", "mistral", "qwen2", "qwen3"];

    public static IEnumerable<TheoryDataRow<string, string>> Cases =>
        from name in GoldenFolder.Cases('B').Concat(GoldenFolder.Cases('E').Where(GoldenDecoderTests.IsCausal))
        where GoldenFolder.BaseKind(name) == "transformers"
        from adapter in Directory.EnumerateDirectories(GoldenFolder.PathOf(name, "."), "adapter*").Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)
        select new TheoryDataRow<string, string>(name, adapter);

    // How far logits may be from those of the unrounded weights, relative to their spread. Weights as large as these make much of every rounding, so that logits say little of Q4_0: numbers do.
    private static readonly (GgufType Type, double Tolerance)[] _types =
        [(GgufType.F32, 2e-6), (GgufType.F16, 0.1), (GgufType.BF16, 0.4), (GgufType.Q80, 0.6), (GgufType.Q40, double.PositiveInfinity)];

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    [Trait("Golden", "E")]
    public void Logits_of_the_file_are_those_of_the_merged_model(string name, string adapter)
    {
        using var golden = new GoldenCase(name);
        using var folder = new TemporaryFolder();
        string source = golden.PathOf(golden.Json.GetProperty("base").GetProperty("dir").GetString()!);
        var options = new GgufModelOptions { Adapters = [golden.PathOf(adapter)], IncludeTokenizer = false };
        string family = TypeOf(source);
        if (!_families.Contains(family))
        {
            AdapterFormatException exception = Assert.Throws<AdapterFormatException>(() => Export(source, folder["model.gguf"], options));
            Assert.Equal($"model_type is \"{family}\", but GGUF files are written for gpt2, llama, mistral, qwen2 and qwen3.", Assert.Single(exception.Problems));
            return;
        }
        if (File.ReadAllText(Path.Combine(golden.PathOf(adapter), "adapter_config.json")).Contains("\"layer_replication\": [", StringComparison.Ordinal))
        {
            Assert.Throws<AdapterFormatException>(() => Export(source, folder["model.gguf"], options));
            Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
            return;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        string merged = folder["merged"];
        CheckpointMerge.Run(source, [golden.PathOf(adapter)], merged, cancellationToken: TestContext.Current.CancellationToken);
        using CausalLanguageModel model = AutoModel.FromPretrained(merged, new PretrainedOptions { DataType = ScalarType.Float64, Device = TestDevice.Current });
        int[] ids = [.. new[] { 3, 17, 5, 60, 9 }.Select(id => id % model.VocabularySize)];
        double[] expected = TinyLlama.Values(model.call(new CausalInput(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0).to(TestDevice.Current))));
        double spread = Math.Sqrt(expected.Average(value => value * value));
        PlainGguf? unrounded = null;
        foreach ((GgufType type, double tolerance) in _types)
        {
            string file = folder[$"{type}.gguf"];
            GgufExportResult result = Export(source, file, options with { Type = type });
            var read = new PlainGguf(file);
            Assert.Equal(read.Tensors.Values.Select(tensor => (tensor.Name, (GgufType)tensor.Type)), result.Tensors.Select(tensor => (tensor.Name, tensor.Type)));
            Assert.NotEmpty(result.Merged);
            unrounded ??= read;
            foreach (string tensor in read.Tensors.Keys) PlainRounding.Check(unrounded.Numbers(tensor), read.Numbers(tensor), read.Tensors[tensor].Type, tensor);
            double[] found = [.. new PlainRuntime(read).Logits(ids).SelectMany(row => row)];
            double error = found.Zip(expected, (a, b) => Math.Abs(a - b)).Max() / spread;
            output.WriteLine($"{type}: {error:G3}");
            Assert.True(error <= tolerance, $"{type}: logits differ by {error:G3} of their spread");

            // The same file comes of the folder that was merged before.
            Export(merged, folder["other.gguf"], options with { Type = type, Adapters = [], Name = Path.GetFileName(source) });
            Assert.True(File.ReadAllBytes(file).AsSpan().SequenceEqual(File.ReadAllBytes(folder["other.gguf"])), $"{type}: the merged folder gives another file");
        }
    }

    private static GgufExportResult Export(string source, string file, GgufModelOptions options) => GgufModelExport.Run(source, file, options, cancellationToken: TestContext.Current.CancellationToken);

    private static string TypeOf(string folder)
    {
        using JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "config.json")));
        return config.RootElement.GetProperty("model_type").GetString()!;
    }
}
