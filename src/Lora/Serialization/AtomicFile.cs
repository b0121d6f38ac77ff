namespace Lora.Serialization;

/// <summary>
/// Writes files so that a reader finds the old one or the new one, never half of either: the bytes go to a temporary name in the same
/// folder and to the disk, then the name is moved.
/// </summary>
internal static class AtomicFile
{
    internal static void Write(string path, Action<Stream> write) => WriteAll((path, write));

    /// <summary>
    /// Writes files that belong together. Nothing is replaced until all of them lie on the disk complete; where replacing one then fails,
    /// those that were replaced before it get their old content back. (No file system replaces two files in one step: a loss of power
    /// exactly between two renames can still leave a new file beside an old one.) Put the largest file last: the others are backed up.
    /// </summary>
    internal static void WriteAll(params ReadOnlySpan<(string Path, Action<Stream> Write)> files)
    {
        var staged = new List<StagedFile>();
        try
        {
            foreach ((string path, Action<Stream> write) in files)
            {
                var file = new StagedFile(path);
                staged.Add(file);
                file.Stage(write);
            }

            foreach (StagedFile file in staged.SkipLast(1))
            {
                file.BackUp();
            }

            Replace(staged);
        }
        finally
        {
            staged.ForEach(file => file.RemoveTemporaries());
        }
    }

    private static void Replace(List<StagedFile> staged)
    {
        int replaced = 0;
        try
        {
            foreach (StagedFile file in staged)
            {
                file.Replace();
                replaced++;
            }
        }
        finally
        {
            if (replaced < staged.Count)
            {
                staged.Take(replaced).ToList().ForEach(file => file.Restore());
            }
        }
    }

    private sealed class StagedFile(string path)
    {
        private const int LongestName = 40;
        private readonly string _path = System.IO.Path.GetFullPath(path);
        private readonly string _temporary = Beside(path, "tmp");
        private readonly string _backup = Beside(path, "old");
        private bool _existed;

        internal void Stage(Action<Stream> write) => Guard(() =>
        {
            // To find out before minutes of writing rather than after them.
            if (Directory.Exists(_path))
            {
                throw new IOException("A folder has this name.");
            }

            using var stream = new FileStream(_temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
            write(stream);
            stream.Flush(flushToDisk: true);
        });

        internal void BackUp() => Guard(() =>
        {
            string? target = new FileInfo(_path).LinkTarget;
            _existed = target is not null || File.Exists(_path);
            // A link comes back as a link, even one that leads nowhere.
            if (target is not null)
            {
                File.CreateSymbolicLink(_backup, target);
            }
            else if (_existed)
            {
                File.Copy(_path, _backup);
            }
        });

        internal void Replace() => Guard(() => File.Move(_temporary, _path, overwrite: true));

        internal void Restore()
        {
            if (_existed)
            {
                File.Move(_backup, _path, overwrite: true);
            }
            else
            {
                File.Delete(_path);
            }
        }

        internal void RemoveTemporaries()
        {
            // File.Delete says nothing about a missing file, but something about a missing folder.
            foreach (string name in (string[])[_temporary, _backup])
            {
                if (File.Exists(name))
                {
                    File.Delete(name);
                }
            }
        }

        // The name tells whose temporary it is, and no more of it than that: a name that a file can have must not become too long by what is put to it.
        private static string Beside(string path, string extension)
        {
            string full = System.IO.Path.GetFullPath(path), name = System.IO.Path.GetFileName(full);
            if (name.Length > LongestName) name = name[..(char.IsHighSurrogate(name[LongestName - 1]) ? LongestName - 1 : LongestName)];
            return System.IO.Path.Combine(System.IO.Path.GetDirectoryName(full) ?? full, $".{name}.{Guid.NewGuid():N}.{extension}");
        }

        private void Guard(Action step)
        {
            try
            {
                step();
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw new IOException($"'{path}' could not be written: {exception.Message} What was there before is unchanged.", exception);
            }
        }
    }
}
