using System.Text.RegularExpressions;

namespace Lora.PublicApi.Tests;

/// <summary>Links and headings of Markdown pages.</summary>
internal static partial class Links
{
    /// <summary>The targets of a page's links, outside of code.</summary>
    public static IEnumerable<string> In(string page) => Link().Matches(Code().Replace(page, "")).Select(match => match.Groups[1].Value);

    /// <summary>The anchors that a page's headings have.</summary>
    public static HashSet<string> Headings(string page) =>
        [.. Heading().Matches(Code().Replace(page, "")).Select(match => Dropped().Replace(match.Groups[1].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'))];

    /// <summary>A link's target, from the root of the repository.</summary>
    public static string Resolve(string page, string link)
    {
        var parts = new Stack<string>(page.Split('/')[..^1]);
        foreach (string part in link.Split('/'))
        {
            if (part == "..") parts.Pop();
            else if (part != ".") parts.Push(part);
        }

        return string.Join('/', parts.Reverse());
    }

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^#+ (.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex("```.*?```", RegexOptions.Singleline)]
    private static partial Regex Code();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Dropped();
}
