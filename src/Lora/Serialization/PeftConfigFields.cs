using System.Globalization;
using System.Text.Json;

namespace Lora.Serialization;

/// <summary>The fields of PEFT's configuration file in the order of the file, and how the settings of an adapter are written into them.</summary>
internal static class PeftConfigFields
{
    internal const string AllLinear = "all-linear";

    /// <summary>What PEFT 0.20 writes where nothing was set.</summary>
    internal static OrderedDictionary<string, string> Defaults { get; } = new(StringComparer.Ordinal)
    {
        ["alora_invocation_tokens"] = "null",
        ["alpha_pattern"] = "{}",
        ["arrow_config"] = "null",
        ["auto_mapping"] = "null",
        ["base_model_name_or_path"] = "null",
        ["bias"] = "\"none\"",
        ["corda_config"] = "null",
        ["ensure_weight_tying"] = "false",
        ["eva_config"] = "null",
        ["exclude_modules"] = "null",
        ["fan_in_fan_out"] = "false",
        ["inference_mode"] = "true",
        ["init_lora_weights"] = "true",
        ["kasa_config"] = "null",
        ["layer_replication"] = "null",
        ["layers_pattern"] = "null",
        ["layers_to_transform"] = "null",
        ["loftq_config"] = "{}",
        ["lora_alpha"] = "8",
        ["lora_bias"] = "false",
        ["lora_dropout"] = "0.0",
        ["lora_ga_config"] = "null",
        ["megatron_config"] = "null",
        ["megatron_core"] = "\"megatron.core\"",
        ["modules_to_save"] = "null",
        ["monteclora_config"] = "null",
        ["peft_type"] = "\"LORA\"",
        ["peft_version"] = "\"0.20.0\"",
        ["qalora_group_size"] = "16",
        ["r"] = "8",
        ["rank_pattern"] = "{}",
        ["revision"] = "null",
        ["target_modules"] = "null",
        ["target_parameters"] = "null",
        ["task_type"] = "null",
        ["trainable_token_indices"] = "null",
        ["use_bdlora"] = "null",
        ["use_dora"] = "false",
        ["use_qalora"] = "false",
        ["use_rslora"] = "false",
        ["velora_config"] = "null",
    };

    /// <summary>The values of <c>bias</c>, in the order of <see cref="BiasKind"/>.</summary>
    internal static string[] Biases { get; } = ["none", "all", "lora_only"];

    /// <summary>The JSON of every field that a <see cref="LoraConfig"/> has a say in.</summary>
    internal static IEnumerable<KeyValuePair<string, string>> Of(LoraConfig config) =>
    [
        // Of the settings of an initialisation those of the others are not there.
        .. config.Initialization.Fields,
        .. _initializationSettings.Except(config.Initialization.Fields.Select(field => field.Key)).Select(name => KeyValuePair.Create(name, "null")),
        new("alora_invocation_tokens", List((SettingList<int>)config.InvocationTokens, Whole)),
        new("alpha_pattern", Object(config.AlphaPattern.Select(pair => (pair.Key, PythonJson.Number(pair.Value))))),
        new("base_model_name_or_path", Text(config.BaseModelNameOrPath)),
        new("bias", PythonJson.Quote(Biases[(int)config.Bias])),
        new("ensure_weight_tying", PythonJson.Truth(config.EnsureWeightTying)),
        new("exclude_modules", Selector(config.ExcludedModules)),
        new("inference_mode", PythonJson.Truth(config.InferenceMode)),
        new("kasa_config", Kasa(config.Kasa)),
        new("layer_replication", Ranges(config.LayerReplication)),
        new("layers_pattern", List((SettingList<string>)config.LayersPattern, PythonJson.Quote)),
        new("layers_to_transform", List((SettingList<int>)config.LayersToTransform, Whole)),
        new("lora_alpha", PythonJson.Number(config.Alpha)),
        new("lora_bias", PythonJson.Truth(config.UseLoraBias)),
        new("lora_dropout", PythonJson.Float(config.Dropout)),
        new("modules_to_save", List((SettingList<string>)config.ModulesToSave, PythonJson.Quote)),
        new("r", config.Rank.ToString(CultureInfo.InvariantCulture)),
        new("rank_pattern", Object(config.RankPattern.Select(pair => (pair.Key, pair.Value.ToString(CultureInfo.InvariantCulture))))),
        new("target_modules", config.TargetModules is null && config.TargetParameters is not null ? "[]" : Selector(config.TargetModules)),
        new("target_parameters", Selector(config.TargetParameters)),
        new("task_type", Text(config.TaskType)),
        new("trainable_token_indices", Tokens(config.TrainableTokens)),
        new("use_bdlora", Blocks(config.BlockDiagonal)),
        new("use_dora", PythonJson.Truth(config.UseDora)),
        new("use_rslora", PythonJson.Truth(config.UseRankStabilizedScaling)),
    ];

    /// <summary>Whether a field means the same in two files. Null, an empty list and a number for a list of one are ways to write one thing.</summary>
    internal static bool MeanTheSame(string field, JsonElement a, JsonElement b) => field switch
    {
        // PEFT looks at the lower-case name.
        "init_lora_weights" => string.Equals(InitializerOf(a), InitializerOf(b), StringComparison.OrdinalIgnoreCase),
        _ => _lists.Contains(field) ? Items(a).SequenceEqual(Items(b)) : MeanTheSame(a, b),
    };

    /// <summary>Compares by meaning: 16 and 16.0 are the same number, and a list is a set. The order of an object counts, for its first match wins.</summary>
    internal static bool MeanTheSame(JsonElement a, JsonElement b) => (a.ValueKind, b.ValueKind) switch
    {
        (JsonValueKind.Number, JsonValueKind.Number) => a.GetDouble().Equals(b.GetDouble()),
        // No names are as good as none given.
        (JsonValueKind.Array, JsonValueKind.Null) => a.GetArrayLength() == 0,
        (JsonValueKind.Null, JsonValueKind.Array) => b.GetArrayLength() == 0,
        (JsonValueKind.Array, JsonValueKind.Array) => a.EnumerateArray().Select(item => item.ToString()).ToHashSet().SetEquals(b.EnumerateArray().Select(item => item.ToString())),
        (JsonValueKind.Object, JsonValueKind.Object) => a.EnumerateObject().Select(property => property.Name).SequenceEqual(b.EnumerateObject().Select(property => property.Name))
            && a.EnumerateObject().Zip(b.EnumerateObject()).All(pair => MeanTheSame(pair.First.Value, pair.Second.Value)),
        _ => JsonElement.DeepEquals(a, b),
    };

    private static readonly string[] _initializationSettings = ["corda_config", "eva_config", "lora_ga_config"];

    // Their order counts, and one item needs no brackets.
    private static readonly string[] _lists = ["alora_invocation_tokens", "layer_replication", "layers_pattern", "layers_to_transform", "modules_to_save"];

    private static string InitializerOf(JsonElement value) => value.ValueKind == JsonValueKind.Null ? "true" : value.ToString();

    private static IEnumerable<string> Items(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => [],
        JsonValueKind.Array => value.EnumerateArray().Select(item => PythonJson.Format([new("", item)])),
        _ => [PythonJson.Format([new("", value)])],
    };

    private static string Whole(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string List<T>(SettingList<T> list, Func<T, string> json) =>
        list.Count == 0 ? "null" : list.IsSingle ? json(list[0]) : $"[{string.Join(',', list.Select(json))}]";

    private static string Ranges(IReadOnlyList<LayerRange> ranges) => ranges.Count == 0 ? "null" : $"[{string.Join(',', ranges.Select(range => $"[{Whole(range.Start)},{Whole(range.End)}]"))}]";

    private static string Tokens(TrainableTokens? tokens) => tokens switch
    {
        null => "null",
        { IsInputEmbedding: true } => List(tokens.Ordered.First().Value, Whole),
        _ => Object(tokens.Ordered.Select(pair => (pair.Key, $"[{string.Join(',', pair.Value.Select(Whole))}]"))),
    };

    private static string Kasa(KasaOptions? options) => options is null ? "null" : Object([("beta", PythonJson.Float(options.Beta)), ("gamma", PythonJson.Float(options.Gamma))]);

    private static string Blocks(BlockDiagonalOptions? options) => options is null ? "null" : Object(
    [
        ("match_strict", PythonJson.Truth(options.IsStrict)),
        ("nblocks", Whole(options.Blocks)),
        ("target_modules_bd_a", List((SettingList<string>)options.DownModules, PythonJson.Quote)),
        ("target_modules_bd_b", List((SettingList<string>)options.UpModules, PythonJson.Quote)),
    ]);

    private static string Text(string? value) => value is null ? "null" : PythonJson.Quote(value);

    private static string Object(IEnumerable<(string Name, string Json)> fields) => $"{{{string.Join(',', fields.Select(field => $"{PythonJson.Quote(field.Name)}:{field.Json}"))}}}";

    private static string Selector(ModuleSelector? selector) => selector switch
    {
        null => "null",
        { Names: { } names } => $"[{string.Join(',', names.Select(PythonJson.Quote))}]",
        { Pattern: { } pattern } => PythonJson.Quote(pattern),
        _ => PythonJson.Quote(AllLinear),
    };
}
