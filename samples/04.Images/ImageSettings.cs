using Samples;

namespace Images;

/// <summary>What the command line asks for.</summary>
internal sealed record ImageSettings(bool AsksForHelp, string? Pretrain, string Model, int Examples, int HeldOut, int Steps, int Batch, int Rank, double Rate, string Out) : ILessonSettings
{
    internal const string Usage = """
        usage: dotnet run -c Release --project samples/04.Images -- [options]

          --model FOLDER        a ResNet in Hugging Face form, for RGB pictures       [the embedded tiny one]
          --examples N          pictures to learn                                     [100]
          --held-out N          pictures to be measured by                            [250]
          --steps N             optimizer steps                                       [100]
          --batch N             pictures a batch                                      [25]
          --rank N              rank of the update of each convolution                [4]
          --rate X              learning rate                                         [5e-3]
          --out FOLDER          where the adapter goes                                [artifacts/images/adapter]

          --pretrain FOLDER     makes the tiny base instead; --steps of it            [1500]
        """;

    /// <exception cref="UsageException">An argument is wrong.</exception>
    internal static ImageSettings Parse(string[] arguments)
    {
        var line = new CommandLine(arguments, ["pretrain", "model", "examples", "held-out", "steps", "batch", "rank", "rate", "out"]);
        string? pretrain = line.Has("pretrain") ? line.Text("pretrain", "") : null;
        // Beside the program, where the build has put it.
        string embedded = Path.GetRelativePath(Environment.CurrentDirectory, AppContext.BaseDirectory);
        return new ImageSettings(
            line.AsksForHelp, pretrain, line.Text("model", Path.Combine(embedded, "model")), line.Count("examples", 100, least: 5), line.Count("held-out", 250, least: 1),
            line.Count("steps", pretrain is null ? 100 : 1500, least: 1), line.Count("batch", 25, least: 1), line.Count("rank", 4, least: 1), line.Number("rate", 5e-3, least: 0),
            line.Text("out", Path.Combine("artifacts", "images", "adapter")));
    }
}
