using System.Text.Json;

namespace Lora.Tests.Golden;

/// <summary>The folders of reference results: those of LORA_GOLDEN_DIR where it is set, otherwise the copy in the repository.</summary>
internal static class GoldenFolder
{
    private const string Variable = "LORA_GOLDEN_DIR";

    /// <summary>The folder that holds one folder for each case.</summary>
    public static string Root
    {
        get
        {
            string? chosen = Environment.GetEnvironmentVariable(Variable);
            string root = string.IsNullOrEmpty(chosen) ? Path.Combine(RepositoryFolder.Root, "tests", "golden") : Path.GetFullPath(chosen);
            return Directory.Exists(root) ? root : throw new DirectoryNotFoundException($"{Variable} is '{chosen}', but there is no folder '{root}'.");
        }
    }

    /// <summary>The names of the cases of a group, in order, without those that tests/golden/pending.txt lists.</summary>
    /// <param name="group">The group's letter.</param>
    public static IEnumerable<string> Cases(char group)
    {
        string[] pending = Pending();
        foreach (string folder in Directory.EnumerateDirectories(Root).Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileName(folder);
            string description = Path.Combine(folder, "case.json");
            if (!File.Exists(description) || Array.Exists(pending, entry => IsNamedBy(name, entry)))
            {
                continue;
            }

            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(description));
            if (json.RootElement.GetProperty("group").GetString() == group.ToString())
            {
                yield return name;
            }
        }
    }

    /// <summary>How a case's base model is described: <c>spec</c>, <c>transformers</c> or <c>none</c>.</summary>
    public static string? BaseKind(string name)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(PathOf(name, "case.json")));
        return json.RootElement.GetProperty("base") is { ValueKind: JsonValueKind.Object } spec ? spec.GetProperty("kind").GetString() : null;
    }

    /// <summary>The class that transformers has for a case's base model; null where it has none.</summary>
    public static string? BaseClass(string name)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(PathOf(name, "case.json")));
        return json.RootElement.GetProperty("base") is { ValueKind: JsonValueKind.Object } spec && spec.TryGetProperty("class", out JsonElement value) ? value.GetString() : null;
    }

    /// <summary>A file of a case.</summary>
    public static string PathOf(string name, string file) => Path.Combine(Root, name, file);

    // f07 stands for f07_unigram and f07_unigram_2, not for f070_other.
    private static bool IsNamedBy(string name, string entry) =>
        name == entry || name.StartsWith(entry + "_", StringComparison.Ordinal);

    private static string[] Pending()
    {
        string list = Path.Combine(RepositoryFolder.Root, "tests", "golden", "pending.txt");
        return File.Exists(list)
            ? [.. File.ReadLines(list).Select(line => line.Split('#')[0].Trim()).Where(line => line.Length > 0)]
            : [];
    }
}
