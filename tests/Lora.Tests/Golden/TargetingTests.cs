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

    public static IEnumerable<TheoryDataRow<string, string>> OtherSettings => "AB".SelectMany(GoldenFolder.Cases)
        .SelectMany(name => Read(name, "case.json").TryGetProperty("other_settings", out JsonElement settings)
            ? settings.EnumerateObject().Select(setting => new TheoryDataRow<string, string>(name, setting.Name).WithTrait("Golden", name[..1].ToUpperInvariant())).ToArray()
            : []);

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    public void Modules_ranks_and_scales_are_PEFTs(string name)
    {
        LoraConfig config = PeftAdapterConfig.Load(Path.Combine(GoldenFolder.Root, name, "adapter", PeftAdapterConfig.FileName)).ToLoraConfig();
        JsonElement root = Read(name, "case.json");
        IEnumerable<string> paths = root.GetProperty("base").GetProperty("modules").EnumerateArray().Select(module => module.GetProperty("path").GetString()!);
        // Beside the targeted modules, "ranks" lists what PEFT made of their parts (an attention's out_proj) and of targeted parameters.
        HashSet<string> targeted = [.. root.GetProperty("targeted_modules").EnumerateArray().Select(path => path.GetString()!)];
        JsonProperty[] expected = [.. root.GetProperty("ranks").GetProperty("default").EnumerateObject().Where(module => targeted.Contains(module.Name))];
        Assert.Equal(expected.Select(module => module.Name).Order(), paths.Where(config.Selects).Order());
        if (root.TryGetProperty("targeted_parameters", out JsonElement parameters))
        {
            using SafetensorsFile weights = SafetensorsFile.Open(GoldenFolder.PathOf(name, root.GetProperty("base").GetProperty("weights").GetString()!));
            Assert.Equal(parameters.EnumerateArray().Select(parameter => parameter.GetString()!).Order(), weights.Entries.Select(entry => entry.Name).Where(config.TargetParameters!.Matches).Order());
        }
        foreach (JsonProperty module in expected)
        {
            int rank = config.RankFor(module.Name);
            Assert.Equal((module.Name, module.Value.GetProperty("r").GetInt32()), (module.Name, rank));
            Assert.Equal(module.Value.GetProperty("scaling").GetDouble(), config.Scaling(rank, config.AlphaFor(module.Name)), 1e-12);
        }
    }

    /// <summary>Further settings that PEFT was given for the model of a case: the same modules, and an error where PEFT has one.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(OtherSettings))]
    public void Other_settings_choose_PEFTs_modules_too(string name, string setting)
    {
        using var golden = new GoldenCase(name);
        JsonElement other = golden.Json.GetProperty("other_settings").GetProperty(setting), spec = golden.Json.GetProperty("base");
        // The settings say everything about layers; the rest is that of the case.
        IEnumerable<JsonProperty> kept = golden.Json.GetProperty("peft_config_passed").EnumerateObject().Where(passed => !passed.Name.StartsWith("layers_", StringComparison.Ordinal));
        LoraConfig config = FreshAdapterTests.Config([.. kept, .. other.GetProperty("config").EnumerateObject()]);
        using var model = new SpecModel(spec, golden.PathOf(spec.GetProperty("weights").GetString()!));
        if (!other.GetProperty("ok").GetBoolean())
        {
            Assert.Contains("leaves nothing of what target_modules", Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, config)).Message, StringComparison.Ordinal);
            return;
        }
        using LoraModel<SpecModel> lora = LoraModel.Wrap(model, config);
        Assert.Equal(other.GetProperty("targeted").EnumerateArray().Select(path => path.GetString()!).Order(), lora.Layers.Select(layer => layer.Path).Order());
    }

    private static JsonElement Read(string name, string file)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(GoldenFolder.Root, name, file)));
        return document.RootElement.Clone();
    }
}
