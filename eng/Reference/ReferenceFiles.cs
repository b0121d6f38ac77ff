using System.Reflection;
using Lora.Llm;
using Lora.Tests;

namespace Lora.Reference;

/// <summary>Everything that is written from the built libraries: the list of the public surface of each, and the pages of the reference.</summary>
internal static class ReferenceFiles
{
    private const string Pages = "docs/api";

    private static readonly Assembly[] Libraries = [typeof(LoraConfig).Assembly, typeof(AutoModel).Assembly];

    /// <summary>The text of every file, by its path from the root of the repository.</summary>
    public static SortedDictionary<string, string> All()
    {
        var files = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var documents = new XmlDocuments(Libraries);
        foreach (Assembly library in Libraries)
        {
            files.Add($"src/{library.GetName().Name}/PublicApi.txt", string.Join('\n', ApiDump.Lines(library)) + "\n");
        }


        foreach (Type type in Libraries.SelectMany(library => library.GetExportedTypes()))
        {
            files.Add($"{Pages}/{PageNames.Of(type)}", new TypePage(type, documents).ToString());
        }

        files.Add($"{Pages}/README.md", IndexPage.Write(Libraries, documents));
        foreach ((string path, string text) in GuidePages.All(RepositoryFolder.Root))
        {
            files.Add(path, text);
        }

        return files;
    }

    /// <summary>The pages that lie in the repository, by their paths from its root.</summary>
    public static IEnumerable<string> Existing(string root)
    {
        string folder = Path.Combine(root, Pages);
        return Directory.Exists(folder)
            ? Directory.EnumerateFiles(folder, "*.md", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(root, file).Replace('\\', '/'))
            : [];
    }
}
