using System.Text.Json;
using Lora.Serialization;

namespace Lora.Llm.Loading;

/// <summary>Reads the fields of a <c>config.json</c> and collects everything that is wrong with them.</summary>
internal sealed class ConfigReader
{
    /// <summary>The largest width, vocabulary or number of positions that has a table. Far above that of any model, so that products of two still fit in 64 bits.</summary>
    internal const int LargestSize = 1 << 24;

    /// <summary>The most layers: what a file says of each is listed at once.</summary>
    internal const int MostLayers = 1 << 12;

    private readonly string _prefix;
    private readonly JsonElement _root;
    private readonly List<string> _problems;

    private ConfigReader(string path, JsonElement root, string prefix, List<string> problems)
    {
        Path = path;
        _root = root;
        _prefix = prefix;
        _problems = problems;
    }

    /// <summary>Opens a file.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no JSON object.</exception>
    internal static ConfigReader Open(string path)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no '{path}': a model's folder holds config.json beside its weights.", path);
        using JsonDocument document = StrictJson.Parse(path, File.ReadAllBytes(path));
        return new ConfigReader(path, document.RootElement.Clone(), "", []);
    }

    /// <summary>The file.</summary>
    internal string Path { get; }

    /// <summary>Whether nothing has been found wrong so far.</summary>
    internal bool IsRight => _problems.Count == 0;

    /// <summary>Whether the field is there and not null.</summary>
    internal bool Has(string name) => _root.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>Whether the field is there, be it null: null may mean none where a missing field means a default.</summary>
    internal bool Says(string name) => _root.TryGetProperty(name, out _);

    /// <summary>The name under which a field is there, of two that transformers takes; the first where it is not.</summary>
    internal string NameOf(string name, string other) => !Has(name) && Has(other) ? other : name;

    /// <summary>An inner object, or null.</summary>
    internal ConfigReader? Section(string name)
    {
        if (!Has(name)) return null;
        JsonElement value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Object) return new ConfigReader(Path, value, $"{_prefix}{name}.", _problems);
        Wrong(name, "an object", value);
        return null;
    }

    /// <summary>A positive integer; without a default it must be there.</summary>
    internal int Count(string name, int? fallback = null)
    {
        if (!Has(name)) return fallback ?? Missing(name, 1);
        JsonElement value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int count) && count > 0) return count;
        return Wrong(name, "a positive integer", value, 1);
    }

    /// <summary>A width, or another number that sizes of tensors come from; without a default it must be there.</summary>
    internal int Size(string name, int? fallback = null) => AtMost(LargestSize, name, Count(name, fallback));

    /// <summary>A number of layers; without a default it must be there.</summary>
    internal int Layers(string name, int? fallback = null) => AtMost(MostLayers, name, Count(name, fallback));

    /// <summary>A list of positive integers, at least one.</summary>
    internal IReadOnlyList<int> Counts(string name, IReadOnlyList<int> fallback, int most)
    {
        if (!Has(name)) return fallback;
        JsonElement value = _root.GetProperty(name);
        bool fits = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0
            && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int count) && count > 0);
        if (!fits) return Wrong(name, "a list of positive integers", value, fallback);
        int[] counts = [.. value.EnumerateArray().Select(item => item.GetInt32())];
        AtMost(most, name, counts.Max());
        return counts;
    }

    /// <summary>A positive integer, or null where it says null; without the field the default.</summary>
    internal int? CountOrNone(string name, int? fallback) => Has(name) ? Count(name) : Says(name) ? null : fallback;

    /// <summary>A finite number above zero; without a default it must be there.</summary>
    internal double Number(string name, double? fallback = null)
    {
        if (!Has(name)) return fallback ?? Missing(name, 1.0);
        JsonElement value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number) && number > 0) return number;
        return Wrong(name, "a positive number", value, 1.0);
    }

    /// <summary>A share: at least 0 and below 1.</summary>
    internal double Fraction(string name, double fallback)
    {
        if (!Has(name)) return fallback;
        JsonElement value = _root.GetProperty(name);
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double share) && share is >= 0 and < 1 ? share : Wrong(name, "a number from 0 to below 1", value, fallback);
    }

    /// <summary>A finite number above zero, or null where it says null; without the field the default.</summary>
    internal double? NumberOrNone(string name, double? fallback) => Has(name) ? Number(name) : Says(name) ? null : fallback;

    /// <summary>A list of finite numbers above zero, which must be there.</summary>
    internal IReadOnlyList<double> Numbers(string name)
    {
        if (!Has(name)) return Missing<IReadOnlyList<double>>(name, []);
        JsonElement value = _root.GetProperty(name);
        return value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number && item.TryGetDouble(out double number) && double.IsFinite(number) && number > 0)
            ? [.. value.EnumerateArray().Select(item => item.GetDouble())]
            : Wrong<IReadOnlyList<double>>(name, "a list of positive numbers", value, []);
    }

    /// <summary>The fields of an inner object, or null.</summary>
    internal IReadOnlyDictionary<string, JsonElement>? Fields(string name) => Section(name)?._root.EnumerateObject().ToDictionary(field => field.Name, field => field.Value, StringComparer.Ordinal);

    /// <summary>A truth value.</summary>
    internal bool Truth(string name, bool fallback)
    {
        if (!Has(name)) return fallback;
        JsonElement value = _root.GetProperty(name);
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : Wrong(name, "true or false", value, fallback);
    }

    /// <summary>A text.</summary>
    internal string? Text(string name, string? fallback = null)
    {
        if (!Has(name)) return fallback;
        JsonElement value = _root.GetProperty(name);
        return value.ValueKind == JsonValueKind.String ? value.GetString() : Wrong(name, "a text", value, fallback);
    }

    /// <summary>A list of texts, empty where the field is not there.</summary>
    internal IReadOnlyList<string> Texts(string name)
    {
        if (!Has(name)) return [];
        JsonElement value = _root.GetProperty(name);
        return value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String)
            ? [.. value.EnumerateArray().Select(item => item.GetString()!)]
            : Wrong<IReadOnlyList<string>>(name, "a list of texts", value, []);
    }

    /// <summary>A whole number of either sign, or none.</summary>
    internal int? Whole(string name)
    {
        if (!Has(name)) return null;
        JsonElement value = _root.GetProperty(name);
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number : Wrong<int?>(name, "a whole number", value, null);
    }

    /// <summary>One token id, or a list of them, or none.</summary>
    internal IReadOnlyList<int> TokenIds(string name)
    {
        if (!Has(name)) return [];
        JsonElement value = _root.GetProperty(name);
        IEnumerable<JsonElement> items = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : [value];
        var ids = new List<int>();
        foreach (JsonElement item in items)
        {
            if (item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int id) && id >= 0) ids.Add(id);
            else return Wrong<IReadOnlyList<int>>(name, "a token id or a list of them", value, []);
        }
        return ids;
    }

    /// <summary>Adds a problem with what the fields say.</summary>
    internal void Require(bool condition, string problem)
    {
        if (!condition) _problems.Add(problem);
    }

    /// <exception cref="AdapterFormatException">Something was wrong; everything is listed.</exception>
    internal void ThrowIfWrong()
    {
        if (_problems.Count > 0) throw new AdapterFormatException(Path, _problems);
    }

    private int AtMost(int most, string name, int number)
    {
        Require(number <= most, $"{_prefix}{name} must be at most {most}, but is {number}.");
        return Math.Min(number, most);
    }

    private T Missing<T>(string name, T instead)
    {
        Require(false, $"{_prefix}{name} is missing.");
        return instead;
    }

    private void Wrong(string name, string wanted, JsonElement found) => _problems.Add($"{_prefix}{name} must be {wanted}, but is {found.GetRawText()}.");

    private T Wrong<T>(string name, string wanted, JsonElement found, T instead)
    {
        Wrong(name, wanted, found);
        return instead;
    }
}
