using System.Text.Json;

namespace Lora.Serialization;

/// <summary>An object inside PEFT's configuration file, read field by field.</summary>
internal sealed class PeftSettings
{
    private readonly string _name;
    private readonly JsonElement _value;
    private readonly List<string> _problems;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    internal PeftSettings(string name, JsonElement value, List<string> problems)
    {
        _name = name;
        _value = value;
        _problems = problems;
        if (value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Null or JsonValueKind.Undefined)) problems.Add($"{name} must be an object, but is {value.GetRawText()}.");
    }

    /// <summary>The fields that have not been read, each as it is written with its name; null where there is no object.</summary>
    internal SettingList<string>? Further => _value.ValueKind == JsonValueKind.Object
        ? SettingList<string>.Of(_value.EnumerateObject().Where(entry => !_read.Contains(entry.Name)).Select(entry => $"{PythonJson.Quote(entry.Name)}:{entry.Value.GetRawText()}").ToArray())
        : null;

    internal double Number(string field, double otherwise) => Get(field, value => value.ValueKind == JsonValueKind.Number && double.IsFinite(value.GetDouble()) ? value.GetDouble() : null, "a number", otherwise);

    internal bool Truth(string field, bool otherwise) =>
        Get(field, value => value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.ValueKind == JsonValueKind.True : null, "true or false", otherwise);

    internal int Whole(string field, int otherwise) => Get(field, value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number : (int?)null, "a whole number", otherwise);

    internal SettingList<string> Names(string field)
    {
        _read.Add(field);
        if (_value.ValueKind != JsonValueKind.Object || !_value.TryGetProperty(field, out JsonElement value) || value.ValueKind == JsonValueKind.Null) return SettingList<string>.Empty;
        if (value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String)) return SettingList<string>.Of(value.EnumerateArray().Select(item => item.GetString()!).ToArray());
        _problems.Add($"{_name}: {field} must be null or a list of names, but is {value.GetRawText()}.");
        return SettingList<string>.Empty;
    }

    /// <summary>Refuses the fields that have not been read: they may change what the adapter computes.</summary>
    internal void RefuseFurther()
    {
        foreach (string field in Further ?? SettingList<string>.Empty) _problems.Add($"{_name} has {field}, which is unknown to this version.");
    }

    internal T Choice<T>(string field, Func<string, T?> read, T otherwise)
        where T : struct => Get(field, value => value.ValueKind == JsonValueKind.String ? read(value.GetString()!) : null, "one of PEFT's names", otherwise);

    private T Get<T>(string field, Func<JsonElement, T?> read, string wanted, T otherwise)
        where T : struct
    {
        _read.Add(field);
        if (_value.ValueKind != JsonValueKind.Object || !_value.TryGetProperty(field, out JsonElement value)) return otherwise;
        if (read(value) is T found) return found;
        _problems.Add($"{_name}: {field} must be {wanted}, but is {value.GetRawText()}.");
        return otherwise;
    }
}
