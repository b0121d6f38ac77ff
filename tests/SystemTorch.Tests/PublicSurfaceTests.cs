using Lora.Tests;
using TorchSharp;

namespace SystemTorch.Tests;

/// <summary>SystemTorch stands for the package TorchSharp 0.106.0: nothing of its public surface may be missing there or look otherwise.</summary>
public class PublicSurfaceTests
{
    [Fact]
    public void EveryPublicMemberIsThePackages()
    {
        var package = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Data", "TorchSharp-0.106.txt")).ToHashSet(StringComparer.Ordinal);
        var own = ApiDump.Lines(typeof(torch).Assembly);

        var foreign = own.Where(line => !package.Contains(line)).ToList();

        Assert.True(own.Count > 1000, $"only {own.Count} lines: is this the assembly?");
        Assert.True(foreign.Count == 0, $"{foreign.Count} of {own.Count} lines are not in the package's surface:\n{string.Join('\n', foreign)}");
    }

    [Fact]
    public void TheAssemblyBearsThePackagesNameAndVersion()
    {
        var name = typeof(torch).Assembly.GetName();
        Assert.Equal("TorchSharp", name.Name);
        Assert.Equal(new Version(0, 106, 0, 0), name.Version);
    }
}
