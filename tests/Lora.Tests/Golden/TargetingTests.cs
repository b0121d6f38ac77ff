using System.Text.Json;
using Lora.Serialization;

namespace Lora.Tests.Golden;

/// <summary>PEFT's choice of modules, ranks and scales, compared with what a configuration alone says about the paths of a model.</summary>
public class TargetingTests
{
    public static IEnumerable<TheoryDataRow<string>> Cases => "AB".SelectMany(GoldenFolder.Cases)
        .Where(name => Read(name, "case.json") is var root && root.TryGetProperty("ranks", out _) && root.GetProperty("base").TryGetProperty("modules", out _))
        .Where(name => File.Exists(Path.Combine(GoldenFolder.Root, name, "adapter", PeftAdapterConfig.FileName)))
        .Select(name => new TheoryDataRow<string>(name).WithTrait("Golden", name[..1].ToUpperInvariant()));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    public void Modules_ranks_and_scales_are_PEFTs(string name)
    {
        LoraConfig config = PeftAdapterConfig.Load(Path.Combine(GoldenFolder.Root, name, "adapter", PeftAdapterConfig.FileName)).ToLoraConfig();
        JsonElement root = Read(name, "case.json");
        IEnumerable<string> paths = root.GetProperty("base").GetProperty("modules").EnumerateArray().Select(module => module.GetProperty("path").GetString()!);
        JsonProperty[] expected = [.. root.GetProperty("ranks").GetProperty("default").EnumerateObject()];
        Assert.Equal(expected.Select(module => module.Name).Order(), paths.Where(config.Selects).Order());
        foreach (JsonProperty module in expected)
        {
            int rank = config.RankFor(module.Name);
            Assert.Equal((module.Name, module.Value.GetProperty("r").GetInt32()), (module.Name, rank));
            Assert.Equal(module.Value.GetProperty("scaling").GetDouble(), config.Scaling(rank, config.AlphaFor(module.Name)), 1e-12);
        }
    }

    private static JsonElement Read(string name, string file)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(GoldenFolder.Root, name, file)));
        return document.RootElement.Clone();
    }
}
