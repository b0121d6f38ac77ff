using Lora.Tests;

namespace Lora.Samples.Tests;

/// <summary>Wrong arguments and missing files end with a line that says what, and with their exit code.</summary>
public sealed class SampleErrorTests
{
    public static TheoryData<string> Samples => ["00.PretrainBase", "01.FineTune", "02.Inspect", "03.Classify", "04.Images", "05.Chat", "06.Gpt2"];

    public static TheoryData<string> Lessons => ["01.FineTune", "03.Classify", "04.Images", "05.Chat", "06.Gpt2"];

    [Theory]
    [MemberData(nameof(Samples))]
    public async Task Wrong_arguments(string sample)
    {
        using var folder = new TemporaryFolder();
        SampleResult unknown = await SampleProgram.RunAsync(sample, folder.Path, "--stepz", "3"), bad = await SampleProgram.RunAsync(sample, folder.Path, "--steps", "many"),
            help = await SampleProgram.RunAsync(sample, folder.Path, "--help");
        Assert.Equal((2, ""), (unknown.ExitCode, unknown.Output));
        Assert.StartsWith($"error: There is no option --stepz.\n\nusage: dotnet run -c Release --project samples/{sample} -- ", unknown.Error, StringComparison.Ordinal);
        Assert.Equal((2, ""), (bad.ExitCode, bad.Output));
        Assert.StartsWith($"error: --steps must be a whole number of at least {(sample == "00.PretrainBase" ? 0 : 1)}, but is 'many'.\n\nusage: ", bad.Error, StringComparison.Ordinal);
        Assert.Equal((0, ""), (help.ExitCode, help.Error));
        Assert.StartsWith("usage: ", help.Output, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Theory]
    [MemberData(nameof(Lessons))]
    public async Task A_model_that_is_not_there(string sample)
    {
        using var folder = new TemporaryFolder();
        SampleResult result = await SampleProgram.RunAsync(sample, folder.Path, "--model", "nowhere");
        Assert.Equal((1, "", "error: There is no model folder 'nowhere'.\n"), (result.ExitCode, result.Output, result.Error));
    }

    [Theory]
    [InlineData("03.Classify", "--steps 1 --examples 3 --held-out 3")]
    [InlineData("06.Gpt2", "--steps 1 --batch 1 --letters 1")]
    public async Task A_place_that_cannot_be_written_to(string sample, string arguments)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["out"], "a file");
        SampleResult result = await SampleProgram.RunAsync(sample, folder.Path, [.. arguments.Split(' '), "--out", "out"]);
        Assert.Equal(1, result.ExitCode);
        Assert.StartsWith("error: The adapter cannot be written to 'out': ", result.Error, StringComparison.Ordinal);
        Assert.Equal("a file", File.ReadAllText(folder["out"]));
    }

    [Theory]
    [InlineData("01.FineTune", "--steps 100000 --matches 0 --eval-rows 1")]
    [InlineData("04.Images", "--steps 100000")]
    public async Task Ctrl_C_stops_between_two_steps(string sample, string arguments)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There is no kill -INT.");
        using var folder = new TemporaryFolder();
        SampleResult result = await SampleProgram.InterruptAsync(sample, folder.Path, "step 1/100000  ", [.. arguments.Split(' '), "--out", "out"]);
        Assert.Equal((130, "Cancelled. Nothing was written.\n"), (result.ExitCode, result.Error));
        Assert.Empty(Directory.EnumerateFiles(folder.Path, "*", SearchOption.AllDirectories));
    }
}
