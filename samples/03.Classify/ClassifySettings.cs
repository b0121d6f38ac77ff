using Samples;

namespace Classify;

/// <summary>What the command line asks for.</summary>
internal sealed record ClassifySettings(bool AsksForHelp, string? Pretrain, string Model, int Examples, int HeldOut, int Steps, int Batch, int Rank, double Rate, string Out) : ILessonSettings
{
    internal const string Usage = """
        usage: dotnet run -c Release --project samples/03.Classify -- [options]

          --model FOLDER        a BERT in Hugging Face form                           [the embedded tiny one]
          --examples N          reviews to learn                                      [120]
          --held-out N          reviews to be measured by, of words never learned     [300]
          --steps N             optimizer steps                                       [150]
          --batch N             reviews a batch                                       [24]
          --rank N              rank of the update                                    [8]
          --rate X              learning rate                                         [3e-3]
          --out FOLDER          where the adapter goes                                [artifacts/classify/adapter]

          --pretrain FOLDER     makes the tiny base instead; --steps of it            [1500]
        """;

    /// <exception cref="UsageException">An argument is wrong.</exception>
    internal static ClassifySettings Parse(string[] arguments)
    {
        var line = new CommandLine(arguments, ["pretrain", "model", "examples", "held-out", "steps", "batch", "rank", "rate", "out"]);
        string? pretrain = line.Has("pretrain") ? line.Text("pretrain", "") : null;
        // Beside the program, where the build has put it.
        string embedded = Path.GetRelativePath(Environment.CurrentDirectory, AppContext.BaseDirectory);
        return new ClassifySettings(
            line.AsksForHelp, pretrain, line.Text("model", Path.Combine(embedded, "model")), line.Count("examples", 120, least: 3), line.Count("held-out", 300, least: 1),
            line.Count("steps", pretrain is null ? 150 : 1500, least: 1), line.Count("batch", 24, least: 1), line.Count("rank", 8, least: 1), line.Number("rate", 3e-3, least: 0),
            line.Text("out", Path.Combine("artifacts", "classify", "adapter")));
    }
}
