using System.Diagnostics;
using Lora.Tests;

namespace Lora.PublicApi.Tests.Packaging;

/// <summary>
/// What <c>dotnet pack</c> makes of the two libraries as they were built for these tests; or, where <c>LORA_PACKAGES_DIR</c> names a folder, the packages there.
/// </summary>
public sealed class PackageFolder : IDisposable
{
    private const string Configuration =
#if DEBUG
        "Debug";
#else
        "Release";
#endif

    private readonly TemporaryFolder _folder = new();

    public PackageFolder()
    {
        if (Environment.GetEnvironmentVariable("LORA_PACKAGES_DIR") is { Length: > 0 } given)
        {
            Path = given;
            return;
        }

        if (!HasSdk())
        {
            return;
        }

        Path = _folder["packages"];
        foreach (string project in (string[])["Lora", "Lora.Llm"])
        {
            Pack(System.IO.Path.Combine(RepositoryFolder.Root, "src", project), Path);
        }
    }

    /// <summary>The folder of the packages; null where there is no SDK to make them with.</summary>
    public string? Path { get; }

    public void Dispose() => _folder.Dispose();

    // A machine that only runs the tests may have dotnet without an SDK.
    private static bool HasSdk() =>
        Environment.GetEnvironmentVariable("PATH")!.Split(System.IO.Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => new FileInfo(System.IO.Path.Combine(folder, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet")))
            .Where(host => host.Exists)
            .Select(host => (host.ResolveLinkTarget(returnFinalTarget: true) ?? host).FullName)
            .Any(host => Directory.Exists(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(host)!, "sdk")));

    private static void Pack(string project, string folder)
    {
        var start = new ProcessStartInfo("dotnet", ["pack", project, "-c", Configuration, "--no-build", "-v", "quiet", "-o", folder])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        start.Environment["DOTNET_NOLOGO"] = "1";
        // Set by the test host for itself; a child of the SDK that reads them takes the host's own MSBuild for its.
        start.Environment.Remove("MSBUILD_EXE_PATH");
        start.Environment.Remove("MSBuildExtensionsPath");
        start.Environment.Remove("MSBuildSDKsPath");
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.GetAwaiter().GetResult();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"dotnet pack {project} ended with {process.ExitCode}:\n{output}");
    }
}
