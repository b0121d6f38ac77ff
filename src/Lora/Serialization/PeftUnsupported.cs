using System.Text.Json;

namespace Lora.Serialization;

/// <summary>The fields of PEFT's configuration file that change what an adapter computes and that this version cannot follow: they are refused, never passed over.</summary>
internal static class PeftUnsupported
{
    private static readonly (string Name, string Meaning)[] _fields =
    [
        ("arrow_config", "routing between adapters"),
        ("megatron_config", "Megatron's parallel layers"),
        ("monteclora_config", "MonteCLoRA"),
        ("use_qalora", "QALoRA"),
        ("velora_config", "VeLoRA"),
    ];

    internal static void Check(IReadOnlyDictionary<string, JsonElement> fields, List<string> problems)
    {
        foreach ((string name, string meaning) in _fields)
        {
            if (fields.TryGetValue(name, out JsonElement value) && IsActive(value))
            {
                problems.Add($"{name} is {value.GetRawText()}, which asks for {meaning}: not supported by this version yet.");
            }
        }
    }

    private static bool IsActive(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => false,
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.Object => value.EnumerateObject().Any(),
        _ => true,
    };
}
