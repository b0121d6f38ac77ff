namespace Lora.Serialization;

/// <summary>Makes the folder that files are written into, and takes it away again when that fails.</summary>
internal static class NewFolder
{
    /// <param name="path">The folder; it, and those above it, are made where they do not exist.</param>
    /// <param name="write">Writes into it.</param>
    internal static void Write(string path, Action write)
    {
        if (File.Exists(path)) throw new IOException($"'{path}' is a file, so that no folder can have this name: give another one, or delete the file first.");
        string[] made = [.. Missing(path)];
        bool complete = false;
        try
        {
            Directory.CreateDirectory(path);
            write();
            complete = true;
        }
        finally
        {
            if (!complete) RemoveEmpty(made);
        }
    }

    // The folder and those above it that do not exist, the deepest first.
    private static IEnumerable<string> Missing(string path)
    {
        for (DirectoryInfo? folder = new(path); folder is { Exists: false }; folder = folder.Parent)
        {
            yield return folder.FullName;
        }
    }

    // Somebody else may have put something into them meanwhile, or above one that could not be made there may be a file.
    private static void RemoveEmpty(IEnumerable<string> folders)
    {
        foreach (string folder in folders.Where(folder => Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any()))
        {
            Directory.Delete(folder);
        }
    }
}
