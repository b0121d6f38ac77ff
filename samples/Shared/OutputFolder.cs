namespace Samples;

/// <summary>The folder that the adapter goes to.</summary>
internal static class OutputFolder
{
    /// <summary>Makes the folder and writes a first byte into it: better to fail now than after the training.</summary>
    /// <exception cref="IOException">Nothing can be written there.</exception>
    internal static void Prepare(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            string probe = Path.Combine(folder, Path.GetRandomFileName());
            using var file = new FileStream(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
            file.WriteByte(0);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"The adapter cannot be written to '{folder}': {exception.Message.TrimEnd('.')}. Name another folder with --out, or make room for it there.", exception);
        }
    }

    /// <summary>Writes a text under another name first, so that a crash leaves no half of it.</summary>
    internal static void Write(string path, string text)
    {
        string unfinished = $"{path}.tmp";
        try
        {
            File.WriteAllText(unfinished, text);
            File.Move(unfinished, path, overwrite: true);
        }
        finally
        {
            File.Delete(unfinished);
        }
    }
}
