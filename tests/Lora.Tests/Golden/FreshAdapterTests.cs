using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Lora.Initialization;
using Lora.Layers;
using Lora.Serialization;
using Lora.Targeting;

namespace Lora.Tests.Golden;

/// <summary>A fresh adapter with the settings that PEFT was given is saved with PEFT's keys, types, shapes and configuration.</summary>
public sealed class FreshAdapterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static IEnumerable<TheoryDataRow<string>> Cases => "AB".SelectMany(GoldenFolder.Cases)
        .Where(name => File.Exists(GoldenFolder.PathOf(name, Path.Combine("adapter", PeftAdapterConfig.FileName))) && Json(name).TryGetProperty("ranks", out _))
        .Select(name => new TheoryDataRow<string>(name).WithTrait("Golden", name[..1].ToUpperInvariant()));

    public void Dispose() => _folder.Dispose();

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    public void Its_files_are_PEFTs(string name)
    {
        using var golden = new GoldenCase(name);
        JsonElement spec = golden.Json.GetProperty("base");
        if (spec.GetProperty("kind").GetString() != "spec") return;
        using var model = new SpecModel(spec, golden.PathOf(spec.GetProperty("weights").GetString()!));
        string[] paths = [.. golden.Json.GetProperty("ranks").GetProperty("default").EnumerateObject().Select(module => module.Name), .. Targeted(golden.Json)];
        LoraConfig config = Config(golden.Json.GetProperty("peft_config_passed"));
        // PEFT says nothing about keys that decide nothing; here they are errors.
        HashSet<string> unused = [.. ((PatternTable<int>)config.RankPattern).Unused(paths), .. ((PatternTable<double>)config.AlphaPattern).Unused(paths)];
        config = config with { RankPattern = Without(config.RankPattern, unused), AlphaPattern = Without(config.AlphaPattern, unused) };
        bool isMarked;
        using (LoraModel<SpecModel> lora = LoraModel.Wrap(model, config))
        {
            isMarked = lora.Layers.Any(layer => layer.Layer.Adapter is ConvAdapter { DiffersFromPeft: true });
            lora.Save(_folder.Path);
        }

        string reference = golden.PathOf("adapter");
        AssertSameFields(PeftAdapterConfig.Load(Path.Combine(reference, PeftAdapterConfig.FileName)), PeftAdapterConfig.Load(_folder[PeftAdapterConfig.FileName]), unused);
        using SafetensorsFile expected = SafetensorsFile.Open(Path.Combine(reference, AdapterFolder.WeightsName));
        using SafetensorsFile actual = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName]);
        Assert.Equal(expected.Entries.Select(entry => entry.ToString()), actual.Entries.Select(entry => entry.ToString()));
        // Convolutions whose dilation or padding mode PEFT ignores are marked in files of ours.
        Assert.Equal(expected.Metadata.Concat(isMarked ? [KeyValuePair.Create(ConvolutionMark.Key, ConvolutionMark.Value)] : []).ToDictionary(), actual.Metadata);
    }

    private static IEnumerable<string> Targeted(JsonElement json) =>
        json.TryGetProperty("targeted_parameters", out JsonElement parameters) ? parameters.EnumerateArray().Select(parameter => parameter.GetString()!) : [];

    private static JsonElement Json(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(GoldenFolder.PathOf(name, "case.json")));
        return document.RootElement.Clone();
    }

    private static void AssertSameFields(PeftAdapterConfig expected, PeftAdapterConfig actual, HashSet<string> unused)
    {
        // eva_config is left out by PEFT in some cases and null in others.
        Assert.Equal(expected.Fields.Keys.Where(key => key != "eva_config"), actual.Fields.Keys.Where(key => key != "eva_config"));
        foreach (string field in expected.Fields.Keys.Except(["peft_version", "auto_mapping", "eva_config"]))
        {
            Assert.Equal((field, Text(expected.Fields[field], field.EndsWith("_pattern", StringComparison.Ordinal) ? unused : [])), (field, Text(actual.Fields[field], [])));
        }
        Assert.Equal(["base_model_class", "parent_library"], expected.Fields["auto_mapping"].EnumerateObject().Select(property => property.Name));
        Assert.Equal("""{"base_model_class":"SpecModel","parent_library":"Lora.Tests.Golden"}""", actual.Fields["auto_mapping"].GetRawText().Replace("\n", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal));
    }

    // The order of a set of names is PEFT's by chance, that of an object is not.
    private static string Text(JsonElement value, HashSet<string> except) => value.ValueKind switch
    {
        JsonValueKind.Array => string.Join(", ", value.EnumerateArray().Select(item => item.GetRawText()).Order(StringComparer.Ordinal)),
        JsonValueKind.Object => string.Join(", ", value.EnumerateObject().Where(property => !except.Contains(property.Name)).Select(property => $"{property.Name}: {property.Value.GetRawText()}")),
        _ => value.GetRawText(),
    };

    private static Dictionary<string, T> Without<T>(IReadOnlyDictionary<string, T> values, HashSet<string> except) =>
        values.Where(pair => !except.Contains(pair.Key)).ToDictionary(pair => pair.Key, pair => pair.Value);

    internal static LoraConfig Config(JsonElement passed) => Config(passed.EnumerateObject());

    internal static LoraConfig Config(IEnumerable<JsonProperty> passed)
    {
        var config = new LoraConfig();
        foreach (JsonProperty setting in passed)
        {
            JsonElement value = setting.Value;
            config = setting.Name switch
            {
                "r" => config with { Rank = value.GetInt32() },
                "lora_alpha" => config with { Alpha = value.GetDouble() },
                "lora_dropout" => config with { Dropout = value.GetDouble() },
                "target_modules" => config with { TargetModules = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0 ? null : Selector(value) },
                "target_parameters" => config with { TargetParameters = Selector(value) },
                "exclude_modules" => config with { ExcludedModules = Selector(value) },
                "lora_bias" => config with { UseLoraBias = value.GetBoolean() },
                "use_dora" => config with { UseDora = value.GetBoolean() },
                "use_rslora" => config with { UseRankStabilizedScaling = value.GetBoolean() },
                "rank_pattern" => config with { RankPattern = value.EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.GetInt32()) },
                "alpha_pattern" => config with { AlphaPattern = value.EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.GetDouble()) },
                "bias" => config with { Bias = value.GetString() switch { "none" => BiasKind.None, "all" => BiasKind.All, "lora_only" => BiasKind.LoraOnly, _ => (BiasKind)(-1) } },
                "layers_to_transform" => config with { LayersToTransform = [.. Items(value).Select(item => item.GetInt32())] },
                "layers_pattern" => config with { LayersPattern = [.. Items(value).Select(item => item.GetString()!)] },
                "modules_to_save" => config with { ModulesToSave = [.. Items(value).Select(item => item.GetString()!)] },
                "trainable_token_indices" => config with { TrainableTokens = Tokens(value) },
                "task_type" => config with { TaskType = value.GetString() },
                "init_lora_weights" => config with { Initialization = Initialization(value) },
                "eva_config" => config with { Initialization = new EvaInitialization { Rho = Number(value, "rho"), Tau = Number(value, "tau") } },
                "corda_config" => config with { Initialization = new CordaInitialization { Method = value.GetString()!.Contains("'kpm'", StringComparison.Ordinal) ? CordaMethod.KnowledgePreserved : CordaMethod.InstructionPreviewed } },
                "fan_in_fan_out" => config, // Each layer's own layout decides.
                _ => throw new NotSupportedException($"The golden tests do not know the setting '{setting.Name}' yet."),
            };
        }
        return config;
    }

    // Through the reader of files, so that its names are tested too.
    private static AdapterInitialization Initialization(JsonElement value) =>
        PeftAdapterConfig.Parse($"{{\"peft_type\":\"LORA\",\"target_modules\":[\"x\"],\"init_lora_weights\":{value.GetRawText()}}}").ToLoraConfig().Initialization;

    // Out of the way in which Python prints a configuration.
    private static double Number(JsonElement printed, string name) =>
        double.Parse(Regex.Match(printed.GetString()!, $@"\b{name}=([-+.eE\d]+)").Groups[1].Value, CultureInfo.InvariantCulture);

    private static JsonElement[] Items(JsonElement value) => value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : [value];

    private static TrainableTokens Tokens(JsonElement value) => value.ValueKind == JsonValueKind.Array
        ? TrainableTokens.Of(value.EnumerateArray().Select(index => index.GetInt32()))
        : TrainableTokens.In(value.EnumerateObject().ToDictionary(pair => pair.Name, pair => (IReadOnlyList<int>)[.. pair.Value.EnumerateArray().Select(index => index.GetInt32())]));

    private static ModuleSelector? Selector(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Array => ModuleSelector.EndsWith(value.EnumerateArray().Select(item => item.GetString()!)),
        _ when string.Equals(value.GetString(), "all-linear", StringComparison.OrdinalIgnoreCase) => ModuleSelector.AllLinear,
        _ => ModuleSelector.Regex(value.GetString()!),
    };
}
