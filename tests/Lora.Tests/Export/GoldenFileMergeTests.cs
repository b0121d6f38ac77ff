using System.Text.Json;
using Lora.Export;
using Lora.Serialization;
using Lora.Tests.Golden;

namespace Lora.Tests.Export;

/// <summary>Adapters of PEFT merged into files of weights without a model: the tensors are those of PEFT's merge.</summary>
public sealed class GoldenFileMergeTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string>> Cases => GoldenFolder.Cases('A').Concat(GoldenFolder.Cases('B'))
        .Where(name => GoldenFolder.BaseKind(name) == "spec" && HasMerge(name)).Select(name => new TheoryDataRow<string>(name));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    [Trait("Golden", "A")]
    public void Tensors_agree(string name)
    {
        using var golden = new GoldenCase(name);
        using var folder = new TemporaryFolder();
        JsonElement spec = golden.Json.GetProperty("base");
        Directory.CreateDirectory(folder["model"]);
        File.Copy(golden.PathOf(spec.GetProperty("weights").GetString()!), Path.Combine(folder["model"], "model.safetensors"));
        JsonElement[] modules = [.. spec.GetProperty("modules").EnumerateArray()];
        string[] transposed = [.. modules.Where(module => module.GetProperty("type").GetString() == "HFConv1D").Select(module => module.GetProperty("path").GetString()!)];
        var options = new CheckpointMergeOptions { TransposedModules = transposed.Length > 0 ? ModuleSelector.EndsWith(transposed) : null };
        foreach (JsonElement run in golden.Runs.Where(run => run.GetProperty("mode").GetString() == "merge_and_unload"))
        {
            golden.Begin(run.GetProperty("id").GetString()!);
            string[] adapters = [.. run.GetProperty("load").EnumerateArray().Select(adapter => golden.PathOf(adapter.GetProperty("dir").GetString()!))];
            string merged = folder[run.GetProperty("id").GetString()!];
            CheckpointMergeResult Merge() => CheckpointMerge.Run(folder["model"], adapters, merged, options, cancellationToken: TestContext.Current.CancellationToken);
            if (Refusal(adapters, modules) is string refusal)
            {
                Assert.Contains(Assert.Throws<AdapterFormatException>(Merge).Problems, problem => problem.Contains(refusal, StringComparison.Ordinal));
                Assert.False(Directory.Exists(merged));
                output.WriteLine($"refused: {refusal}");
                continue;
            }
            Assert.NotEmpty(Merge().Tensors);
            if (!run.TryGetProperty("merged_weights", out JsonElement weights)) continue;
            using SafetensorsFile before = SafetensorsFile.Open(Path.Combine(folder["model"], "model.safetensors")), after = SafetensorsFile.Open(Path.Combine(merged, "model.safetensors"));
            foreach (JsonProperty weight in weights.EnumerateObject())
            {
                using var tensor = after.ReadTensor(weight.Name, TestDevice.Current);
                golden.Compare(weight.Value.GetString()!, tensor, golden.Json.GetProperty("tolerance").GetProperty("weight"));
            }
            foreach (SafetensorsEntry entry in before.Entries.Where(entry => !weights.TryGetProperty(entry.Name, out _)))
                Assert.True(before.GetBytes(entry.Name, 0, (int)entry.ByteCount).SequenceEqual(after.GetBytes(entry.Name, 0, (int)entry.ByteCount)), $"{entry.Name} has other bytes");
        }
        output.WriteLine($"{golden.Compared} tensors compared");
    }

    private static bool HasMerge(string name)
    {
        using var golden = new GoldenCase(name);
        return golden.Runs.Any(run => run.GetProperty("mode").GetString() == "merge_and_unload");
    }

    // What files cannot say, or weights cannot hold.
    private static string? Refusal(string[] adapters, JsonElement[] modules)
    {
        foreach (string adapter in adapters)
        {
            PeftAdapterConfig config = PeftAdapterConfig.Load(Path.Combine(adapter, PeftAdapterConfig.FileName));
            if (config.Fields.TryGetValue("target_parameters", out JsonElement parameters) && parameters.ValueKind != JsonValueKind.Null) return "target_parameters is set";
            using SafetensorsFile weights = SafetensorsFile.Open(Path.Combine(adapter, "adapter_model.safetensors"));
            bool Adapts(JsonElement module, string tensor) => weights.TryGetEntry($"base_model.model.{module.GetProperty("path").GetString()}.{tensor}", out _);
            if (modules.Any(module => module.GetProperty("type").GetString() == "MultiheadAttention" && Adapts(module, "lora_A.weight"))) return "is a MultiheadAttention, whose packed weight cannot be merged from files";
            if (modules.Any(module => module.GetProperty("args").TryGetProperty("groups", out JsonElement groups) && groups.GetInt32() > 1 && Adapts(module, "lora_A.weight"))) return "groups, whose update is no kernel of such a convolution";
            if (modules.Any(module => module.GetProperty("args").TryGetProperty("bias", out JsonElement bias) && bias.ValueKind == JsonValueKind.False && Adapts(module, "lora_B.bias"))) return "has lora_B.bias, but the checkpoint has no";
        }
        return null;
    }
}
