using Lora.Reference;
using Lora.Tests;

namespace Lora.PublicApi.Tests;

/// <summary>The approved lists of the public surface, and the pages of the reference, are those of the libraries as they are.</summary>
public class ReferenceTests
{
    private const string Remedy = "If the change of the public surface or of its documents is meant, run eng/reference.sh and commit what it writes.";

    [Theory]
    [InlineData("src/Lora/PublicApi.txt")]
    [InlineData("src/Lora.Llm/PublicApi.txt")]
    public void PublicSurface_IsTheApprovedOne(string path)
    {
        string[] approved = File.ReadAllLines(Path.Combine(RepositoryFolder.Root, path));
        string[] actual = ReferenceFiles.All()[path].TrimEnd('\n').Split('\n');

        List<string> changes = [.. approved.Except(actual).Select(line => "- " + line), .. actual.Except(approved).Select(line => "+ " + line)];

        Assert.True(changes.Count == 0, $"{path} differs from the library:\n{string.Join('\n', changes)}\n{Remedy}");
    }

    [Fact]
    public void Pages_AreCurrent()
    {
        string root = RepositoryFolder.Root;
        SortedDictionary<string, string> files = ReferenceFiles.All();

        List<string> stale =
        [
            .. files.Where(file => !File.Exists(Path.Combine(root, file.Key)) || File.ReadAllText(Path.Combine(root, file.Key)) != file.Value).Select(file => file.Key),
            .. ReferenceFiles.Existing(root).Where(path => !files.ContainsKey(path)),
        ];

        Assert.True(stale.Count == 0, $"{stale.Count} files are not as the libraries are:\n{string.Join('\n', stale)}\n{Remedy}");
    }

    [Fact]
    public void EveryPieceOfCode_ComesFromATest()
    {
        List<string> unmarked = [.. GuidePages.All(RepositoryFolder.Root).SelectMany(page => GuidePages.Unmarked(page.Value).Select(code => $"{page.Key}:\n{code}"))];

        Assert.True(unmarked.Count == 0, $"These blocks have no snippet before them:\n{string.Join('\n', unmarked)}");
    }

    [Fact]
    public void EveryPageWithCode_SaysWhichUsingsItNeeds() =>
        Assert.Empty(GuidePages.All(RepositoryFolder.Root).Where(page => !GuidePages.NamesUsings(page.Value)).Select(page => page.Key));

    [Fact]
    public void EverySnippet_IsShown()
    {
        string pages = string.Concat(GuidePages.All(RepositoryFolder.Root).Select(page => page.Value));

        Assert.All(GuidePages.Snippets(RepositoryFolder.Root).Keys, name => Assert.Contains($"<!-- snippet: {name} -->", pages, StringComparison.Ordinal));
    }

    [Fact]
    public void Pages_LinkToPagesAndHeadingsThatExist()
    {
        SortedDictionary<string, string> files = ReferenceFiles.All();
        List<string> broken = [];
        foreach ((string path, string text) in files.Where(file => file.Key.EndsWith(".md", StringComparison.Ordinal)))
        {
            foreach (string link in Links.In(text).Where(link => !link.Contains("://", StringComparison.Ordinal)))
            {
                string[] parts = link.Split('#');
                string target = parts[0].Length == 0 ? path : Links.Resolve(path, parts[0]);
                string? page = files.TryGetValue(target, out string? found) ? found : File.Exists(Path.Combine(RepositoryFolder.Root, target)) ? "" : null;
                if (page is null || (parts.Length > 1 && page.Length > 0 && !Links.Headings(page).Contains(parts[1])))
                {
                    broken.Add($"{path}: {link}");
                }
            }
        }

        Assert.True(broken.Count == 0, string.Join('\n', broken));
    }
}
