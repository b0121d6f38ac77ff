using System.Diagnostics;
using System.Reflection;

namespace SystemTorch.Tests;

/// <summary>Runs tests/conformance, each area in a process of its own, and compares with what the real TorchSharp printed.</summary>
public class ConformanceTests
{
    private static readonly string _folder = AppContext.BaseDirectory;

    // Areas that the repository's TorchSharp lacks; tests/conformance leaves their files out.
    private static readonly HashSet<string> _leftOut = [];

    public static TheoryData<string> Areas => [.. CompiledAreas()];

    [Theory, MemberData(nameof(Areas))]
    public async Task BehavesLikeThePackage(string area)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])[Path.Combine(_folder, "conformance.dll"), "--only", area, "--compare", Path.Combine(_folder, "expected.txt")])
            start.ArgumentList.Add(argument);

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string report = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        TestContext.Current.TestOutputHelper!.WriteLine(report);
        Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}\n{report}{await errors}");
    }

    [Fact]
    public void EveryAreaIsCompiledOrLeftOutByName()
    {
        var recorded = File.ReadLines(Path.Combine(_folder, "expected.txt"))
            .Where(line => line.Length > 0 && !line.StartsWith("x-", StringComparison.Ordinal))
            .Select(line => line[..line.IndexOf('.')])
            .ToHashSet();

        Assert.Equal(recorded.Except(_leftOut).Order(), CompiledAreas().Intersect(recorded).Order());
    }

    private static IEnumerable<string> CompiledAreas() =>
        from type in Assembly.LoadFrom(Path.Combine(_folder, "conformance.dll")).GetTypes()
        from attribute in type.CustomAttributes
        where attribute.AttributeType.Name == "AreaAttribute"
        let name = (string)attribute.ConstructorArguments[0].Value!
        orderby name
        select name;
}
