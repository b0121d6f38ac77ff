namespace Lora.Fuzzing.Running;

/// <summary>A folder for the files of one target, in memory where the system has such a place; it is gone in the end.</summary>
internal sealed class ScratchFolder : IDisposable
{
    internal ScratchFolder()
    {
        string memory = "/dev/shm";
        Path = System.IO.Path.Combine(Directory.Exists(memory) ? memory : System.IO.Path.GetTempPath(), $"lora-fuzzing-{Environment.ProcessId}-{Guid.NewGuid():N}");
        Directory.CreateDirectory(Path);
    }

    internal string Path { get; }

    internal string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

/// <summary>A file whose contents change from input to input while its handle stays open: a rename for each would cost more than most readers.</summary>
internal sealed class ScratchFile : IDisposable
{
    private readonly Microsoft.Win32.SafeHandles.SafeFileHandle _handle;

    internal ScratchFile(string path)
    {
        Path = path;
        _handle = File.OpenHandle(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
    }

    internal string Path { get; }

    internal void Write(ReadOnlySpan<byte> bytes)
    {
        RandomAccess.SetLength(_handle, bytes.Length);
        RandomAccess.Write(_handle, bytes, 0);
    }

    public void Dispose() => _handle.Dispose();
}
