using Lora.Tests;

namespace Lora.Fuzzing.Targets;

/// <summary>The reference cases in the repository.</summary>
internal static class Golden
{
    internal static string Root { get; } = Path.Combine(RepositoryFolder.Root, "tests", "golden");

    /// <summary>All files of a name below the folders whose names begin so, as seeds.</summary>
    internal static IEnumerable<FuzzSeed> Files(string folders, string name, int variant = 0) =>
        Directory.EnumerateDirectories(Root, folders).Order(StringComparer.Ordinal)
            .SelectMany(folder => Directory.EnumerateFiles(folder, name, SearchOption.AllDirectories).Order(StringComparer.Ordinal))
            .Select(path => new FuzzSeed(Path.GetRelativePath(Root, path), File.ReadAllBytes(path), variant));
}
