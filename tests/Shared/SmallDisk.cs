using System.Diagnostics;

namespace Lora.Tests;

/// <summary>A file system in memory that is soon full.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private SmallDisk()
    {
    }

    public string Path => _folder.Path;

    /// <summary>Mounts one, or gives null where that is not allowed.</summary>
    public static SmallDisk? TryMount(int kibibytes)
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess) return null;
        var disk = new SmallDisk();
        if (HasProgram("mount") && HasProgram("umount") && Run("mount", "-t", "tmpfs", "-o", $"size={kibibytes}k", "tmpfs", disk.Path)) return disk;
        disk._folder.Dispose();
        return null;
    }

    public void Dispose()
    {
        if (!Run("umount", _folder.Path)) throw new IOException($"'{_folder.Path}' could not be unmounted.");
        _folder.Dispose();
    }

    private static bool HasProgram(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(System.IO.Path.Combine(folder, name)));

    private static bool Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
