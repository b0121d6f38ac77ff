using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>What PEFT refuses is refused here too, and what it accepts is accepted, unless it had no effect.</summary>
[Trait("Golden", "B")]
public sealed class RefusedSettingsTests(ITestOutputHelper output)
{
    // Accepted by PEFT, with a warning at most, though nothing comes of it: errors here.
    private static readonly string[] _withoutEffect = ["exclude_nothing", "modules_to_save_unknown"];

    public static IEnumerable<TheoryDataRow<string, string>> Cases => GoldenFolder.Cases('B').Where(name => GoldenFolder.BaseKind(name) == "none")
        .SelectMany(name => Errors(name).Where(error => error.Value.TryGetProperty("config", out JsonElement config) && IsKnown(config)).Select(error => new TheoryDataRow<string, string>(name, error.Name)).ToArray());

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    public void The_verdict_is_PEFTs(string name, string error)
    {
        using var scope = NewDisposeScope();
        JsonElement recorded = Errors(name).Single(property => property.Name == error).Value;
        using var model = new RefusedModel();
        string? refusal = Refusal(model, recorded.GetProperty("config"));
        output.WriteLine($"PEFT: {(recorded.TryGetProperty("error", out JsonElement text) ? text.GetString() : "accepted")}\nours: {refusal ?? "accepted"}");
        Assert.Equal(recorded.GetProperty("ok").GetBoolean() && !_withoutEffect.Contains(error), refusal is null);
    }

    private static string? Refusal(RefusedModel model, JsonElement passed)
    {
        try
        {
            LoraConfig config = FreshAdapterTests.Config(passed);
            config = config with { Rank = passed.TryGetProperty("r", out _) ? config.Rank : 2, TargetModules = passed.TryGetProperty("target_modules", out _) ? config.TargetModules : ModuleSelector.EndsWith("fc") };
            LoraModel.Wrap(model, config).Unload();
            return null;
        }
        catch (ArgumentException exception)
        {
            return exception.Message;
        }
    }

    // Kinds of layers and methods have golden cases of their own.
    private static bool IsKnown(JsonElement config) =>
        config.EnumerateObject().All(setting => setting.Name is not ("lora_bias" or "use_dora" or "init_lora_weights" or "target_parameters"))
        && !(config.TryGetProperty("target_modules", out JsonElement targets) && targets.ValueKind == JsonValueKind.Array && targets.EnumerateArray().Any(target => target.GetString() is "emb" or "conv" or "attn" or "out_proj"));

    private static JsonProperty[] Errors(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(GoldenFolder.PathOf(name, "case.json")));
        return [.. document.RootElement.Clone().GetProperty("errors").EnumerateObject()];
    }

    /// <summary>The modules of the case that these settings are about.</summary>
    private sealed class RefusedModel : nn.Module
    {
        internal RefusedModel()
            : base(nameof(RefusedModel))
        {
            register_module("emb", nn.Embedding(9, 6));
            register_module("layers", new TorchSharp.Modules.ModuleList<nn.Module>(new Block()));
            register_module("conv", nn.Conv2d(2, 4, 3));
            register_module("head", nn.Linear(6, 3));
        }
    }

    private sealed class Block : nn.Module
    {
        internal Block()
            : base(nameof(Block)) => register_module("fc", nn.Linear(6, 6));
    }
}
