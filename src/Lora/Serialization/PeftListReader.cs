using System.Text.Json;

namespace Lora.Serialization;

/// <summary>Reads the fields of PEFT's configuration file that hold lists, or one item in the place of a list of one.</summary>
internal sealed class PeftListReader(IReadOnlyDictionary<string, JsonElement> fields, List<string> problems)
{
    internal SettingList<int> Numbers(string name) =>
        List(name, "a whole number or a list of such", Whole);

    internal SettingList<string> Names(string name) =>
        ListOf(name, "a name or a list of names, none of them empty", item => item.ValueKind == JsonValueKind.String && item.GetString() is { Length: > 0 } text ? text : null);

    internal SettingList<LayerRange> Ranges(string name) => List<LayerRange>(
        name,
        "a list of pairs of layers, such as [[0, 4], [2, 6]]",
        item => item.ValueKind == JsonValueKind.Array && item.GetArrayLength() == 2 && Whole(item[0]) is int start && Whole(item[1]) is int end && start >= 0 && end > start
            ? new LayerRange(start, end)
            : null);

    internal TrainableTokens? Tokens(string name)
    {
        JsonElement value = Field(name);
        if (value.ValueKind != JsonValueKind.Object)
        {
            SettingList<int> rows = Numbers(name);
            return rows.Count == 0 ? null : Checked(name, TrainableTokens.Of(rows));
        }
        Dictionary<string, IReadOnlyList<int>> byName = [];
        foreach (JsonProperty property in value.EnumerateObject().Where(property => property.Name.Length > 0))
            byName[property.Name] = Read<int>($"{name} for '{property.Name}'", property.Value, "a list of whole numbers", Whole);
        return byName.Count == 0 ? null : Checked(name, TrainableTokens.In(byName));
    }

    private TrainableTokens Checked(string name, TrainableTokens tokens)
    {
        problems.AddRange(tokens.Problems().Select(problem => $"{name}: {problem}."));
        return tokens;
    }

    private JsonElement Field(string name) => fields.TryGetValue(name, out JsonElement value) ? value : PythonJson.Parse(PeftConfigFields.Defaults[name]);

    private SettingList<T> List<T>(string name, string wanted, Func<JsonElement, T?> read)
        where T : struct => Read(name, Field(name), wanted, read);

    private SettingList<string> ListOf(string name, string wanted, Func<JsonElement, string?> read)
    {
        JsonElement value = Field(name);
        JsonElement[] items = Items(value);
        if (items.All(item => read(item) is not null))
        {
            string[] names = [.. items.Select(item => read(item)!)];
            return value.ValueKind == JsonValueKind.Array || names.Length == 0 ? SettingList<string>.Of(names) : SettingList<string>.Single(names[0]);
        }
        problems.Add($"{name} must be null, {wanted}, but is {value.GetRawText()}.");
        return SettingList<string>.Empty;
    }

    private SettingList<T> Read<T>(string name, JsonElement value, string wanted, Func<JsonElement, T?> read)
        where T : struct
    {
        JsonElement[] items = Items(value);
        if (items.All(item => read(item) is not null))
        {
            T[] list = [.. items.Select(item => read(item)!.Value)];
            return value.ValueKind == JsonValueKind.Array || list.Length == 0 ? SettingList<T>.Of(list) : SettingList<T>.Single(list[0]);
        }
        problems.Add($"{name} must be null, {wanted}, but is {value.GetRawText()}.");
        return SettingList<T>.Empty;
    }

    private static int? Whole(JsonElement item) => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int number) ? number : null;

    private static JsonElement[] Items(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => [],
        JsonValueKind.Array => [.. value.EnumerateArray()],
        _ => [value],
    };
}
