using System.Text;
using System.Text.RegularExpressions;

namespace Lora.Reference;

/// <summary>The pages written by hand, with the code of their snippets put in: it comes from tests, so that it compiles and runs.</summary>
/// <remarks>
/// A test marks a piece by <c>// snippet NAME</c> and <c>// end</c>; a page says <c>&lt;!-- snippet: NAME --&gt;</c> before a block of code. The line behind <c>&lt;!-- usings --&gt;</c> says which
/// directives the code of the page needs: those of the files that its pieces come from.
/// </remarks>
internal static partial class GuidePages
{
    private const string Sources = "tests/Lora.PublicApi.Tests/Guides";

    private static readonly string[] SinglePages = ["README.md", "docs/README.md", "src/Lora/README.md", "src/Lora.Llm/README.md"];

    /// <summary>The pages' text with current code, by path from the root.</summary>
    public static IEnumerable<KeyValuePair<string, string>> All(string root)
    {
        Dictionary<string, string> snippets = Snippets(root);
        Dictionary<string, string[]> directives = Directives(root);
        foreach (string path in Paths(root))
        {
            string text = File.ReadAllText(Path.Combine(root, path)).ReplaceLineEndings("\n");
            string filled = Marked().Replace(text, match => Filled(match, path, snippets));
            yield return new(path, Usings().Replace(filled, match => $"{match.Groups["marker"].Value}{Needs(Marked().Matches(filled).Select(piece => piece.Groups["name"].Value), directives)}"));
        }
    }

    /// <summary>Whether a page that has code says which directives it needs.</summary>
    public static bool NamesUsings(string page) => !Marked().IsMatch(page) || Usings().IsMatch(page);

    /// <summary>Blocks of C# that no test stands behind.</summary>
    public static IEnumerable<string> Unmarked(string page) =>
        AnyBlock().Matches(page).Where(match => !match.Groups["marker"].Success).Select(match => match.Groups["code"].Value);

    /// <summary>The pieces of code, by name.</summary>
    public static Dictionary<string, string> Snippets(string root)
    {
        var snippets = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string file in Directory.EnumerateFiles(Path.Combine(root, Sources), "*.cs").Order(StringComparer.Ordinal))
        {
            foreach (Match match in Piece().Matches(File.ReadAllText(file).ReplaceLineEndings("\n")))
            {
                snippets.Add(match.Groups["name"].Value, Dedented(match.Groups["code"].Value));
            }
        }

        return snippets;
    }

    // The directives of the file that each piece is in. The tests' own namespace lies within Lora.
    private static Dictionary<string, string[]> Directives(string root)
    {
        var directives = new Dictionary<string, string[]>(StringComparer.Ordinal);
        foreach (string file in Directory.EnumerateFiles(Path.Combine(root, Sources), "*.cs"))
        {
            string text = File.ReadAllText(file).ReplaceLineEndings("\n");
            string[] found = ["using Lora;", .. Directive().Matches(text).Select(match => match.Value).Where(directive => directive != "using Lora.Tests;")];
            foreach (Match match in Piece().Matches(text)) directives.Add(match.Groups["name"].Value, found);
        }

        return directives;
    }

    private static string Needs(IEnumerable<string> names, Dictionary<string, string[]> directives)
    {
        string[] all = [.. names.SelectMany(name => directives[name]).Distinct().OrderBy(directive => directive.Contains(" static ", StringComparison.Ordinal)).ThenBy(directive => directive.TrimEnd(';'), StringComparer.Ordinal)];
        return $"The code below needs {string.Join(", ", all[..^1].Select(directive => $"`{directive}`"))} and `{all[^1]}`";
    }

    private static IEnumerable<string> Paths(string root) =>
        SinglePages.Concat(Directory.EnumerateFiles(Path.Combine(root, "docs", "guides"), "*.md").Select(file => Path.GetRelativePath(root, file).Replace('\\', '/')).Order(StringComparer.Ordinal));

    private static string Filled(Match match, string path, Dictionary<string, string> snippets)
    {
        string name = match.Groups["name"].Value;
        return snippets.TryGetValue(name, out string? code)
            ? $"{match.Groups["marker"].Value}```csharp\n{code}\n```"
            : throw new InvalidDataException($"{path} shows the snippet '{name}', and no file in {Sources} has it.");
    }

    private static string Dedented(string code)
    {
        string[] lines = code.TrimEnd().Split('\n');
        int indent = lines.Where(line => line.Trim().Length > 0).Min(line => line.Length - line.TrimStart().Length);
        var text = new StringBuilder();
        foreach (string line in lines) text.Append(line.Length >= indent ? line[indent..] : "").Append('\n');
        return text.ToString().TrimEnd();
    }

    [GeneratedRegex(@"(?<marker><!-- snippet: (?<name>[\w-]+) -->\n)```csharp\n.*?```", RegexOptions.Singleline)]
    private static partial Regex Marked();

    [GeneratedRegex(@"(?<marker><!-- usings -->\n)[^\n]*")]
    private static partial Regex Usings();

    [GeneratedRegex(@"^using [\w. ]+;", RegexOptions.Multiline)]
    private static partial Regex Directive();

    [GeneratedRegex(@"(?<marker><!-- snippet: [\w-]+ -->\n)?```csharp\n(?<code>.*?)```", RegexOptions.Singleline)]
    private static partial Regex AnyBlock();

    [GeneratedRegex(@"^[ ]*// snippet (?<name>[\w-]+)\n(?<code>.*?)^[ ]*// end\n", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex Piece();
}
