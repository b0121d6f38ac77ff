using System.Text.Json;
using Lora.Targeting;
using Lora.Variants;

namespace Lora.Serialization;

/// <summary>Turns the fields of PEFT's configuration file into a <see cref="LoraConfig"/>, and collects everything that stands in the way.</summary>
internal sealed class PeftConfigReader(IReadOnlyDictionary<string, JsonElement> fields)
{
    private static readonly string[] _taskTypes = ["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"];
    private readonly List<string> _problems = [];

    internal IReadOnlyList<string> Problems => _problems;

    internal static IEnumerable<string> Remarks(IReadOnlyDictionary<string, JsonElement> fields)
    {
        foreach (string name in fields.Keys.Where(name => !PeftConfigFields.Defaults.ContainsKey(name)))
        {
            yield return $"{name} is unknown to this version and has no effect.";
        }

        if (fields.TryGetValue("alora_invocation_tokens", out JsonElement tokens) && tokens.ValueKind == JsonValueKind.Array && tokens.GetArrayLength() > 0
            && fields.TryGetValue("task_type", out JsonElement task) && task.ValueKind == JsonValueKind.String && !task.ValueEquals("CAUSAL_LM"))
        {
            yield return $"alora_invocation_tokens is set beside task_type {task.GetRawText()}, but adapters that act behind certain tokens are meant for CAUSAL_LM.";
        }

        if (fields.TryGetValue("lora_alpha", out JsonElement alpha) && alpha.ValueKind == JsonValueKind.Number && alpha.GetDouble() <= 0)
        {
            yield return $"lora_alpha is {alpha.GetRawText()}: the adapter {(alpha.GetDouble().Equals(0) ? "has no effect" : "is subtracted")}.";
        }
    }

    internal LoraConfig Read()
    {
        PeftUnsupported.Check(fields, _problems);
        AdapterInitialization initialization = new PeftInitializationReader(fields, _problems).Read();
        CheckPeftType();
        CheckPlainTypes();
        var lists = new PeftListReader(fields, _problems);
        var variants = new PeftVariantReader(fields, _problems);
        var config = new LoraConfig
        {
            Rank = Rank("r", Field("r")),
            Alpha = Alpha("lora_alpha", Field("lora_alpha")),
            Dropout = Dropout(),
            TargetModules = Target(),
            TargetParameters = Parameters(),
            ExcludedModules = Selector("exclude_modules"),
            UseRankStabilizedScaling = Truth("use_rslora"),
            RankPattern = Pattern("rank_pattern", Rank),
            AlphaPattern = Pattern("alpha_pattern", Alpha),
            UseLoraBias = LoraBias(),
            UseDora = Truth("use_dora"),
            Bias = Bias(),
            BaseModelNameOrPath = Text("base_model_name_or_path"),
            TaskType = TaskType(),
            InferenceMode = Truth("inference_mode"),
            LayersToTransform = lists.Numbers("layers_to_transform"),
            LayersPattern = lists.Names("layers_pattern"),
            ModulesToSave = lists.Names("modules_to_save"),
            TrainableTokens = lists.Tokens("trainable_token_indices"),
            LayerReplication = lists.Ranges("layer_replication"),
            EnsureWeightTying = Truth("ensure_weight_tying"),
            Initialization = initialization,
            InvocationTokens = lists.Numbers("alora_invocation_tokens"),
            BlockDiagonal = variants.Blocks(),
            Kasa = variants.Kasa(),
        };
        _problems.AddRange(LoraVariantKind.FileProblems(config));
        Require(!config.UseDora || config.TargetParameters is null, "use_dora is true, which does not go with target_parameters: a parameter alone has no output that a magnitude could rescale.");
        _problems.AddRange(LayerFilter.Problems(config, ofFile: true));
        return config;
    }

    private JsonElement Field(string name) => fields.TryGetValue(name, out JsonElement value) ? value : PythonJson.Parse(PeftConfigFields.Defaults[name]);

    private void CheckPeftType()
    {
        string found = fields.TryGetValue("peft_type", out JsonElement type) ? $"is {type.GetRawText()}" : "is missing";
        Require(type.ValueKind == JsonValueKind.String && type.ValueEquals("LORA"), $"peft_type must be \"LORA\", but {found}.");
    }

    // Fields that nothing here depends on; a wrong type still says that the file is not what it seems.
    private void CheckPlainTypes()
    {
        _ = Truth("fan_in_fan_out");
        _ = Text("revision");
        _ = Text("peft_version");
        _ = Text("megatron_core");
    }

    private int Rank(string name, JsonElement value)
    {
        bool valid = value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int rank) && rank > 0;
        Require(valid, $"{name} must be a whole number of at least 1, but is {value.GetRawText()}.");
        return valid ? value.GetInt32() : 1;
    }

    private double Alpha(string name, JsonElement value)
    {
        bool valid = value.ValueKind == JsonValueKind.Number && double.IsFinite(value.GetDouble());
        Require(valid, $"{name} must be a number, but is {value.GetRawText()}.");
        return valid ? value.GetDouble() : 1;
    }

    private double Dropout()
    {
        JsonElement value = Field("lora_dropout");
        bool valid = value.ValueKind == JsonValueKind.Number && value.GetDouble() is >= 0 and <= 1;
        Require(valid, $"lora_dropout must be a probability from 0 to 1, but is {value.GetRawText()}.");
        return valid ? value.GetDouble() : 0;
    }

    private bool Truth(string name)
    {
        JsonElement value = Field(name);
        Require(value.ValueKind is JsonValueKind.True or JsonValueKind.False or JsonValueKind.Null, $"{name} must be true or false, but is {value.GetRawText()}.");
        return value.ValueKind == JsonValueKind.True;
    }

    private bool LoraBias()
    {
        bool bias = Truth("lora_bias");
        Require(!bias || Field("use_dora").ValueKind != JsonValueKind.True, "lora_bias is true, which does not go with use_dora: a magnitude cannot rescale a bias.");
        JsonElement initializer = Field("init_lora_weights");
        Require(
            !bias || initializer.ValueKind != JsonValueKind.String,
            $"lora_bias is true, which goes with init_lora_weights true or false only, but that is {initializer.GetRawText()}.");
        return bias;
    }

    private string? Text(string name)
    {
        JsonElement value = Field(name);
        bool text = value.ValueKind == JsonValueKind.String;
        Require(text || value.ValueKind == JsonValueKind.Null, $"{name} must be a string or null, but is {value.GetRawText()}.");
        return text ? value.GetString() : null;
    }

    private string? TaskType()
    {
        string? type = Text("task_type");
        Require(type is null || _taskTypes.Contains(type), $"task_type must be null or one of {string.Join(", ", _taskTypes)}, but is \"{type}\".");
        return type;
    }

    private BiasKind Bias()
    {
        JsonElement value = Field("bias");
        int kind = value.ValueKind == JsonValueKind.String ? Array.IndexOf(PeftConfigFields.Biases, value.GetString()) : -1;
        Require(kind >= 0, $"bias must be \"none\", \"all\" or \"lora_only\", but is {value.GetRawText()}.");
        return (BiasKind)Math.Max(kind, 0);
    }

    private ModuleSelector? Target()
    {
        JsonElement value = Field("target_modules");
        bool empty = IsEmpty(value);
        Require(!empty || !IsEmpty(Field("target_parameters")), $"target_modules is {value.GetRawText()}: it must name at least one module.");
        return empty ? null : Selector("target_modules");
    }

    private ModuleSelector? Parameters()
    {
        JsonElement value = Field("target_parameters");
        bool text = value.ValueKind == JsonValueKind.String;
        Require(!text, $"target_parameters must be null or a list of names, but is {value.GetRawText()}.");
        return text ? null : Selector("target_parameters");
    }

    private static bool IsEmpty(JsonElement value) => value.ValueKind == JsonValueKind.Null || (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);

    private ModuleSelector? Selector(string name)
    {
        JsonElement value = Field(name);
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
            case JsonValueKind.Array when value.GetArrayLength() == 0:
                return null;
            case JsonValueKind.String when name == "target_modules" && string.Equals(value.GetString(), PeftConfigFields.AllLinear, StringComparison.OrdinalIgnoreCase):
                return ModuleSelector.AllLinear;
            case JsonValueKind.String when value.GetString()!.Length > 0:
                return Regex(name, value.GetString()!);
            case JsonValueKind.Array when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String && item.GetString()!.Length > 0):
                return ModuleSelector.EndsWith(value.EnumerateArray().Select(item => item.GetString()!));
            default:
                _problems.Add($"{name} must be null, a pattern or a list of names, none of them empty, but is {value.GetRawText()}.");
                return null;
        }
    }

    private ModuleSelector? Regex(string name, string pattern)
    {
        try
        {
            return ModuleSelector.Regex(pattern);
        }
        catch (ArgumentException exception) when (exception.InnerException is PatternException reason)
        {
            _problems.Add($"{name}: the pattern '{pattern}' is not a valid regular expression: {reason.Message}.");
            return null;
        }
    }

    private PatternTable<T> Pattern<T>(string name, Func<string, JsonElement, T> read)
        where T : IEquatable<T>
    {
        JsonElement value = Field(name);
        if (value.ValueKind != JsonValueKind.Object)
        {
            Require(value.ValueKind == JsonValueKind.Null, $"{name} must be an object, but is {value.GetRawText()}.");
            return PatternTable<T>.Empty;
        }

        var table = new PatternTable<T>(value.EnumerateObject().Select(property => KeyValuePair.Create(property.Name, read($"{name} for '{property.Name}'", property.Value))));
        _problems.AddRange(table.Problems().Select(problem => $"{name}: {problem}."));
        return table;
    }

    private void Require(bool condition, string problem)
    {
        if (!condition)
        {
            _problems.Add(problem);
        }
    }
}
