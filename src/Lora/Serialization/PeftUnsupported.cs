using System.Text.Json;

namespace Lora.Serialization;

/// <summary>The fields of PEFT's configuration file that change what an adapter computes and that this version cannot follow: they are refused, never passed over.</summary>
internal static class PeftUnsupported
{
    private static readonly (string Name, string Meaning)[] _fields =
    [
        ("alora_invocation_tokens", "adapters that act behind certain tokens"),
        ("arrow_config", "routing between adapters"),
        ("kasa_config", "KaSA"),
        ("megatron_config", "Megatron's parallel layers"),
        ("monteclora_config", "MonteCLoRA"),
        ("use_bdlora", "block-diagonal adapters"),
        ("use_qalora", "QALoRA"),
        ("velora_config", "VeLoRA"),
    ];

    // Initialisations whose A and B are an ordinary adapter on the unchanged base once they are saved.
    private static readonly string[] _plainInitializers = ["gaussian", "orthogonal", "eva", "mica"];

    // Those that also took something out of the base: loaded onto the original base, A and B would add it twice.
    private static readonly string[] _residualInitializers = ["pissa", "olora", "corda", "loftq", "lora_ga"];

    internal static void Check(IReadOnlyDictionary<string, JsonElement> fields, List<string> problems)
    {
        foreach ((string name, string meaning) in _fields)
        {
            if (fields.TryGetValue(name, out JsonElement value) && IsActive(value))
            {
                problems.Add($"{name} is {value.GetRawText()}, which asks for {meaning}: not supported by this version yet.");
            }
        }

        if (fields.TryGetValue("init_lora_weights", out JsonElement initializer))
        {
            CheckInitializer(initializer, problems);
        }
    }

    private static bool IsActive(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => false,
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.Object => value.EnumerateObject().Any(),
        _ => true,
    };

    private static void CheckInitializer(JsonElement value, List<string> problems)
    {
        string? name = value.ValueKind == JsonValueKind.String ? value.GetString()!.ToLowerInvariant() : null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False or JsonValueKind.Null || _plainInitializers.Contains(name))
        {
            return;
        }

        bool known = name is not null && (_residualInitializers.Contains(name) || name.StartsWith("pissa_niter_", StringComparison.Ordinal));
        problems.Add(known
            ? $"init_lora_weights is {value.GetRawText()}, which took the adapter's initial value out of the base: not supported by this version yet. PEFT can convert it to plain LoRA on saving (path_initial_model_for_weight_conversion)."
            : $"init_lora_weights is {value.GetRawText()}, which is no initialisation that PEFT knows.");
    }
}
