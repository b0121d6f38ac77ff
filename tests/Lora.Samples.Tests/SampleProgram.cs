using System.Diagnostics;
using System.Globalization;
using System.Text;
using Lora.Tests;

namespace Lora.Samples.Tests;

/// <summary>A sample, run as a program of its own.</summary>
internal static class SampleProgram
{
    // What a program may take on a machine that does much else. It is stopped then, so that no test waits for ever.
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    /// <summary>Runs a sample in a folder of its own.</summary>
    /// <param name="name">Its folder, such as <c>01.FineTune</c>.</param>
    /// <param name="folder">Where it runs, and so where relative paths lead.</param>
    /// <param name="arguments">Its arguments.</param>
    public static Task<SampleResult> RunAsync(string name, string folder, params string[] arguments) => RunAsync(name, folder, null, arguments);

    /// <summary>Runs a sample and presses Ctrl-C when it prints a line with this beginning.</summary>
    public static Task<SampleResult> InterruptAsync(string name, string folder, string line, params string[] arguments) => RunAsync(name, folder, line, arguments);

    private static async Task<SampleResult> RunAsync(string name, string folder, string? interruptAt, string[] arguments)
    {
        string program = Find(name);
        Assert.SkipWhen(program.Length == 0, $"samples/{name} is not built here, as in the archive for GPU machines.");
        // A program started in the background of a shell is deaf to Ctrl-C, and so are those that it starts.
        string[] hears = interruptAt is not null && OperatingSystem.IsLinux() ? ["env", "--default-signal=INT"] : [];
        string[] command = [.. hears, Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", program, .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = "1", ["NO_COLOR"] = "1" },
        };
        using Process process = Process.Start(start)!;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        stop.CancelAfter(s_limit);
        try
        {
            Task<string> error = process.StandardError.ReadToEndAsync(stop.Token);
            var output = new StringBuilder();
            while (await process.StandardOutput.ReadLineAsync(stop.Token) is string line)
            {
                output.Append(line).Append('\n');
                if (interruptAt is null || !line.StartsWith(interruptAt, StringComparison.Ordinal)) continue;
                interruptAt = null;
                // Of the shell, since a minimal machine has no program of that name.
                using Process signal = Process.Start("sh", ["-c", $"kill -INT {process.Id.ToString(CultureInfo.InvariantCulture)}"]);
                await signal.WaitForExitAsync(stop.Token);
            }
            await process.WaitForExitAsync(stop.Token);
            return new SampleResult(process.ExitCode, output.ToString(), (await error).ReplaceLineEndings("\n"));
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }

    // Beside the project, in the same configuration as this suite.
    private static string Find(string name)
    {
        string[] parts = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar).Split(Path.DirectorySeparatorChar);
        string folder = Path.Combine(RepositoryFolder.Root, "samples", name, "bin", parts[^2], parts[^1]);
        return Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.runtimeconfig.json").Select(path => path.Replace(".runtimeconfig.json", ".dll", StringComparison.Ordinal)).Single() : "";
    }
}

/// <summary>How a program ended and what it printed.</summary>
internal sealed record SampleResult(int ExitCode, string Output, string Error);
