using System.Globalization;
using System.Text.Json;

namespace Lora.Llm.Loading;

/// <summary>Reads what a classifier's <c>config.json</c> says about its classes.</summary>
internal static class LabelReader
{
    // Classes without names are counted by one number, which must not ask for more memory than that: more than these have names, and a file of their size.
    private const int MostUnnamed = 1 << 16;

    /// <summary>The names of <c>id2label</c>, else of <c>label2id</c>, else as many as <c>num_labels</c> says, else two; and <c>problem_type</c>.</summary>
    internal static (IReadOnlyList<string> Labels, ProblemType? Problem) Read(ConfigReader file)
    {
        int? count = file.Has("num_labels") ? file.Count("num_labels") : null;
        string[]? names = ByNumber(file) ?? ByName(file);
        file.Require(names is null || count is null || names.Length == count, $"num_labels is {count}, but {names?.Length} labels have names.");
        string? wrong = names is null ? null : Problem(names);
        file.Require(wrong is null, $"{(file.Has("id2label") ? "id2label" : "label2id")}: {wrong}");
        bool many = names is null && count > MostUnnamed;
        file.Require(!many, $"num_labels is {count}, but more than {MostUnnamed} labels need names (id2label).");
        ProblemType? problem = null;
        switch (file.Text("problem_type"))
        {
            case null: break;
            case "regression": problem = ProblemType.Regression; break;
            case "single_label_classification": problem = ProblemType.SingleLabel; break;
            case "multi_label_classification": problem = ProblemType.MultiLabel; break;
            case string other:
                file.Require(false, $"problem_type is \"{other}\", but it must be \"regression\", \"single_label_classification\" or \"multi_label_classification\".");
                break;
        }
        return (names ?? Unnamed(many ? 2 : count ?? 2), problem);
    }

    /// <summary>The names that transformers gives to classes without one.</summary>
    internal static IReadOnlyList<string> Unnamed(int count) => new UnnamedLabels(count);

    /// <summary>What is wrong with a list of labels; null for nothing.</summary>
    internal static string? Problem(IReadOnlyList<string> labels) =>
        labels is UnnamedLabels { Count: > 0 } ? null
        : labels.Count == 0 ? "a classifier has at least one label."
        : labels.Any(string.IsNullOrEmpty) ? "a label has no name."
        : labels.Distinct(StringComparer.Ordinal).Count() != labels.Count ? "two labels have the same name."
        : null;

    private static string[]? ByNumber(ConfigReader file)
    {
        IReadOnlyDictionary<string, JsonElement>? fields = file.Fields("id2label");
        if (fields is null || fields.Count == 0) return null;
        var names = new string[fields.Count];
        foreach ((string key, JsonElement value) in fields)
        {
            bool fits = int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int id) && id < names.Length && names[id] is null && value.ValueKind == JsonValueKind.String;
            file.Require(fits, $"id2label must name each class from \"0\" to \"{names.Length - 1}\" once, but has \"{key}\": {value.GetRawText()}.");
            if (!fits) return null;
            names[id] = value.GetString()!;
        }
        return names;
    }

    private static string[]? ByName(ConfigReader file)
    {
        IReadOnlyDictionary<string, JsonElement>? fields = file.Fields("label2id");
        if (fields is null || fields.Count == 0 || file.Has("id2label")) return null;
        var names = new string[fields.Count];
        foreach ((string name, JsonElement value) in fields)
        {
            bool fits = value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id >= 0 && id < names.Length && names[id] is null;
            file.Require(fits, $"label2id must number the classes from 0 to {names.Length - 1}, each once, but has \"{name}\": {value.GetRawText()}.");
            if (!fits) return null;
            names[value.GetInt32()] = name;
        }
        return names;
    }
}
