using Samples;

namespace Gpt2Letters;

/// <summary>What the command line asks for.</summary>
internal sealed record LetterSettings(bool AsksForHelp, string Model, string Data, string Eval, int Steps, int Batch, int Rank, int Letters, string Out) : ILessonSettings
{
    internal const string Usage = """
        usage: dotnet run -c Release --project samples/06.Gpt2 -- [options]

          --model FOLDER        a GPT-2 in Hugging Face form                          [the embedded tiny one]
          --data FILE           texts to learn: JSONL of text                         [the embedded letters]
          --eval FILE           held-out texts, needed with --data                    [the embedded ones]
          --steps N             optimizer steps                                       [200]
          --batch N             texts a batch                                         [16]
          --rank N              rank of the update                                    [8]
          --letters N           openings to continue before and after                 [20]
          --out FOLDER          where the adapter goes                                [artifacts/gpt2/adapter]
        """;

    /// <exception cref="UsageException">An argument is wrong.</exception>
    internal static LetterSettings Parse(string[] arguments)
    {
        var line = new CommandLine(arguments, ["model", "data", "eval", "steps", "batch", "rank", "letters", "out"]);
        if (line.Has("data") != line.Has("eval")) throw new UsageException($"--{(line.Has("data") ? "data" : "eval")} is given without --{(line.Has("data") ? "eval" : "data")}.");
        // Beside the program, where the build has put them.
        string embedded = Path.GetRelativePath(Environment.CurrentDirectory, AppContext.BaseDirectory);
        return new LetterSettings(
            line.AsksForHelp, line.Text("model", Path.Combine(embedded, "model")), line.Text("data", Path.Combine(embedded, "data", "train.jsonl")),
            line.Text("eval", Path.Combine(embedded, "data", "eval.jsonl")), line.Count("steps", 200, least: 1), line.Count("batch", 16, least: 1), line.Count("rank", 8, least: 1),
            line.Count("letters", 20, least: 1), line.Text("out", Path.Combine("artifacts", "gpt2", "adapter")));
    }
}
