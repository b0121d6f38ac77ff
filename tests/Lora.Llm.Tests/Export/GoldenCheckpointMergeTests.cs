using System.Text.Json;
using Lora.Export;
using Lora.Llm.Tests.Golden;
using Lora.Serialization;
using Lora.Tests;
using Lora.Tests.Golden;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Export;

/// <summary>Adapters of PEFT merged into folders of transformers: the tensors are those of a model that was loaded and merged, the outputs those that PEFT has after merging.</summary>
public sealed class GoldenCheckpointMergeTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string, string>> Cases =>
        from name in GoldenFolder.Cases('B').Concat(GoldenFolder.Cases('E').Where(GoldenDecoderTests.IsCausal))
        where GoldenFolder.BaseKind(name) == "transformers"
        from adapter in Directory.EnumerateDirectories(GoldenFolder.PathOf(name, "."), "adapter*").Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)
        select new TheoryDataRow<string, string>(name, adapter);

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    [Trait("Golden", "E")]
    public void Folders_agree_with_models(string name, string adapter)
    {
        using var golden = new GoldenCase(name);
        using var folder = new TemporaryFolder();
        string source = golden.PathOf(golden.Json.GetProperty("base").GetProperty("dir").GetString()!), merged = folder["merged"];
        if (File.ReadAllText(Path.Combine(golden.PathOf(adapter), PeftAdapterConfig.FileName)).Contains("\"layer_replication\": [", StringComparison.Ordinal))
        {
            string[] problems = [.. Assert.Throws<AdapterFormatException>(() => CheckpointMerge.Run(source, [golden.PathOf(adapter)], merged, cancellationToken: TestContext.Current.CancellationToken)).Problems];
            Assert.Contains("layer_replication is set: copies of a layer share one weight, which cannot hold the updates of all", problems);
            Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
            return;
        }
        CheckpointMergeResult result = CheckpointMerge.Run(source, [golden.PathOf(adapter)], merged, cancellationToken: TestContext.Current.CancellationToken);
        CompareFiles(source, merged, result);

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using CausalLanguageModel model = AutoModel.FromPretrained(source, new PretrainedOptions { Device = TestDevice.Current });
        LoraModel.Load(model, golden.PathOf(adapter)).MergeAndUnload();
        using CausalLanguageModel loaded = AutoModel.FromPretrained(merged, new PretrainedOptions { Device = TestDevice.Current });
        int compared = CompareWeights(model, loaded);
        CompareTensors(golden, merged, adapter);
        CompareOutputs(golden, loaded, adapter);
        Assert.NotEqual(0, compared);
        output.WriteLine($"{compared} weights, {golden.Compared} golden tensors, {result.Tensors.Count} changed, in {result.Files.Count} files");
    }

    // All of the folder's other files are there, and each tensor is where it was, changed or not a bit different.
    private static void CompareFiles(string source, string merged, CheckpointMergeResult result)
    {
        foreach (string file in Directory.EnumerateFiles(source).Where(file => !file.EndsWith(".safetensors", StringComparison.Ordinal)))
            if (!result.UntiesHead || !Path.GetFileName(file).StartsWith("config", StringComparison.Ordinal)) Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(merged, Path.GetFileName(file))));
        Assert.Equal(Directory.EnumerateFiles(source).Select(Path.GetFileName).Order(), Directory.EnumerateFiles(merged).Select(Path.GetFileName).Order());
        HashSet<string> changed = [.. result.Tensors.Select(tensor => tensor.Name)];
        Assert.NotEmpty(changed);
        foreach (string file in result.Files)
        {
            using SafetensorsFile before = SafetensorsFile.Open(Path.Combine(source, file)), after = SafetensorsFile.Open(Path.Combine(merged, file));
            Assert.Empty(before.Entries.Select(entry => entry.Name).Except(after.Entries.Select(entry => entry.Name)));
            foreach (SafetensorsEntry entry in before.Entries.Where(entry => !changed.Contains(entry.Name)))
                Assert.True(before.GetBytes(entry.Name, 0, (int)entry.ByteCount).SequenceEqual(after.GetBytes(entry.Name, 0, (int)entry.ByteCount)), $"{entry.Name} has other bytes");
        }
    }

    private static int CompareWeights(CausalLanguageModel expected, CausalLanguageModel actual)
    {
        Dictionary<string, Parameter> wanted = expected.named_parameters().ToDictionary(p => p.name, p => p.parameter), found = actual.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        Assert.Empty(wanted.Keys.Except(found.Keys));
        foreach ((string name, Parameter parameter) in wanted)
            Assert.True(found[name].allclose(parameter, 1e-6, 1e-7), $"{name} differs by up to {found[name].sub(parameter).abs().max().item<float>():G4}");
        return wanted.Count;
    }

    private static void CompareTensors(GoldenCase golden, string merged, string adapter)
    {
        using SafetensorsSource tensors = SafetensorsSource.Open(merged);
        foreach (JsonElement run in RunsOf(golden, adapter).Where(run => run.TryGetProperty("merged_weights", out _)))
        {
            golden.Begin(run.GetProperty("id").GetString()!);
            foreach (JsonProperty weight in run.GetProperty("merged_weights").EnumerateObject())
            {
                // A head over the embedding's weight may have no tensor of its own.
                string name = weight.Name == "lm_head.weight" && !tensors.TryGetEntry(weight.Name, out _) ? "model.embed_tokens.weight" : weight.Name;
                golden.Compare(weight.Value.GetString()!, tensors.ReadTensor(name, TestDevice.Current), golden.Json.GetProperty("tolerance").GetProperty("weight"));
            }
        }
    }

    // What the adapter computes beside the base is what the merged folder computes.
    private static void CompareOutputs(GoldenCase golden, CausalLanguageModel model, string adapter)
    {
        foreach (JsonElement run in RunsOf(golden, adapter).Where(run => run.GetProperty("mode").GetString() is "adapter" or "merge_and_unload"))
        {
            golden.Begin(run.GetProperty("id").GetString()!);
            Dictionary<string, Tensor> inputs = run.GetProperty("inputs").EnumerateObject().ToDictionary(p => p.Name, p => golden.Read(p.Value.GetString()!));
            Tensor logits = model.call(new CausalInput(inputs["input_ids"]) { AttentionMask = inputs.GetValueOrDefault("attention_mask"), PositionIds = inputs.GetValueOrDefault("position_ids") });
            golden.Compare(run.GetProperty("output").GetString()!, logits, golden.Json.GetProperty("tolerance").GetProperty("output"), run.TryGetProperty("compare_mask", out JsonElement mask) ? mask.GetString() : null);
        }
    }

    private static IEnumerable<JsonElement> RunsOf(GoldenCase golden, string adapter) => golden.Runs.Where(run =>
        run.TryGetProperty("load", out JsonElement load) && load.GetArrayLength() == 1 && load[0].GetProperty("dir").GetString() == adapter
        && !(run.TryGetProperty("statistical_only", out JsonElement drawn) && drawn.GetBoolean()) && !run.TryGetProperty("expect_error", out _));
}
