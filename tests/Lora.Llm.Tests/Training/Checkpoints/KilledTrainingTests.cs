using System.Diagnostics;
using System.Globalization;
using Lora.Llm.Training.Checkpoints;
using Lora.Tests;

namespace Lora.Llm.Tests.Training.Checkpoints;

/// <summary>Kills a training's process again and again, and compares what comes of it with what comes of one that was left alone.</summary>
public sealed class KilledTrainingTests(ITestOutputHelper output)
{
    // Where each process dies: the phase, and the how manieth time that it is in it.
    private static readonly (TrainingPhase Phase, int Count)[] Kills =
    [
        (TrainingPhase.InStep, 1), (TrainingPhase.BetweenStepAndSave, 1), (TrainingPhase.FileWritten, 1), (TrainingPhase.FileWritten, 2), (TrainingPhase.FileWritten, 3),
        (TrainingPhase.BeforeMove, 1), (TrainingPhase.AfterMove, 1), (TrainingPhase.BetweenStepAndSave, 1), (TrainingPhase.FileWritten, 5), (TrainingPhase.InStep, 3),
        (TrainingPhase.Pruning, 1), (TrainingPhase.BetweenStepAndSave, 2), (TrainingPhase.FileWritten, 4), (TrainingPhase.Pruning, 2), (TrainingPhase.AfterMove, 2),
        (TrainingPhase.BetweenStepAndSave, 1), (TrainingPhase.InStep, 2), (TrainingPhase.BetweenStepAndSave, 2), (TrainingPhase.FileWritten, 8), (TrainingPhase.BeforeMove, 2),
        (TrainingPhase.BetweenStepAndSave, 1), (TrainingPhase.Pruning, 1),
    ];

    [Fact]
    public void Twenty_two_kills_change_not_a_bit()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(0, Run(folder["whole"]));
        foreach ((TrainingPhase phase, int count) in Kills) Assert.NotEqual(0, Run(folder["killed"], phase, count));
        Assert.Equal(0, Run(folder["killed"]));

        TrainingPhase[] killed = [.. File.ReadLines(Path.Combine(folder["killed"], "killed.txt")).Select(line => Enum.Parse<TrainingPhase>(line.Split(' ')[0]))];
        Assert.Equal(Kills.Select(kill => kill.Phase), killed);
        foreach (var phase in killed.CountBy(phase => phase)) output.WriteLine($"{phase.Key}: killed {phase.Value} times at the steps {string.Join(", ", StepsOf(folder["killed"], phase.Key))}");
        int inSave = killed.Count(phase => phase is TrainingPhase.FileWritten or TrainingPhase.BeforeMove or TrainingPhase.AfterMove or TrainingPhase.Pruning);
        int between = killed.Count(phase => phase == TrainingPhase.BetweenStepAndSave);
        output.WriteLine($"{killed.Length} kills: {inSave} inside a save, {between} between a step and its save, {killed.Count(phase => phase == TrainingPhase.InStep)} inside a step");
        Assert.True(killed.Length >= 20 && inSave >= 5 && between >= 5);

        Assert.Equal(File.ReadAllText(Path.Combine(folder["whole"], "losses.csv")), File.ReadAllText(Path.Combine(folder["killed"], "losses.csv")));
        Assert.Equal(41, File.ReadLines(Path.Combine(folder["whole"], "losses.csv")).Count());
        Dictionary<string, byte[]> whole = Files(folder["whole"]), resumed = Files(folder["killed"]);
        Assert.Equal(whole.Keys.Order(), resumed.Keys.Order());
        Assert.Contains(Path.Combine("step-40", "optimizer.safetensors"), whole.Keys);
        Assert.Contains(Path.Combine("step-40", "adapter_model.safetensors"), whole.Keys);
        // What training.json says of times differs; what it says of the rest is in the losses.
        foreach ((string name, byte[] bytes) in whole.Where(file => Path.GetFileName(file.Key) != "training.json")) Assert.True(bytes.AsSpan().SequenceEqual(resumed[name]), name);
    }

    private static IEnumerable<int> StepsOf(string folder, TrainingPhase phase) =>
        File.ReadLines(Path.Combine(folder, "killed.txt")).Select(line => line.Split(' ')).Where(parts => parts[0] == $"{phase}").Select(parts => int.Parse(parts[1], CultureInfo.InvariantCulture));

    private static Dictionary<string, byte[]> Files(string folder)
    {
        string root = Path.Combine(folder, "checkpoints");
        return Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).ToDictionary(file => Path.GetRelativePath(root, file), File.ReadAllBytes);
    }

    private static int Run(string folder, TrainingPhase? phase = null, int count = 0)
    {
        Directory.CreateDirectory(folder);
        string[] arguments = [Path.Combine(AppContext.BaseDirectory, "Lora.Llm.KilledTraining.dll"), folder, .. phase is null ? [] : new[] { $"{phase}", $"{count}" }];
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", arguments) { RedirectStandardError = true };
        start.Environment["OMP_NUM_THREADS"] = "1";
        using Process process = Process.Start(start)!;
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal("", errors);
        return process.ExitCode;
    }
}
