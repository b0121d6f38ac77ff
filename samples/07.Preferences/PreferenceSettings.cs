using Lora.Llm;
using Samples;

namespace Preferences;

/// <summary>What the command line asks for.</summary>
internal sealed record PreferenceSettings(
    bool AsksForHelp, string Model, string Data, string Eval, PreferenceKind Kind, double Beta, double Rate, int Steps, int Batch, int Length, string Out, string? Checkpoints)
{
    internal const string Usage = """
        usage: dotnet run -c Release --project samples/07.Preferences -- [options]

          --model FOLDER        a language model in Hugging Face form                 [the embedded tiny one]
          --data FILE           preferences: JSONL of prompt, chosen and rejected     [the embedded ones]
          --eval FILE           held-out preferences, needed with --data              [the embedded ones]
          --kind KIND           sigmoid (DPO) or ipo                                  [sigmoid]
          --beta X              how strongly the model is held to what it was         [0.1]
          --rate X              learning rate                                         [2e-3]
          --steps N             optimizer steps                                       [200]
          --batch N             preferences a batch                                   [16]
          --length N            tokens of prompt and answer, more are cut off         [128]
          --out FOLDER          where the adapter goes                                [artifacts/preferences/adapter]
          --checkpoints FOLDER  where the training is written down; started again, it
                                goes on from there                                    [none]
        """;

    /// <exception cref="UsageException">An argument is wrong.</exception>
    internal static PreferenceSettings Parse(string[] arguments)
    {
        var line = new CommandLine(arguments, ["model", "data", "eval", "kind", "beta", "rate", "steps", "batch", "length", "out", "checkpoints"]);
        if (line.Has("data") != line.Has("eval")) throw new UsageException($"--{(line.Has("data") ? "data" : "eval")} is given without --{(line.Has("data") ? "eval" : "data")}.");
        // Beside the program, where the build has put them.
        string embedded = Path.GetRelativePath(Environment.CurrentDirectory, AppContext.BaseDirectory);
        return new PreferenceSettings(
            line.AsksForHelp, line.Text("model", Path.Combine(embedded, "model")), line.Text("data", Path.Combine(embedded, "data", "train.jsonl")),
            line.Text("eval", Path.Combine(embedded, "data", "eval.jsonl")), line.Choice("kind", PreferenceKind.Sigmoid), line.Number("beta", 0.1), line.Number("rate", 2e-3), line.Count("steps", 200, least: 1),
            line.Count("batch", 16, least: 1), line.Count("length", 128, least: 2), line.Text("out", Path.Combine("artifacts", "preferences", "adapter")), line.Has("checkpoints") ? line.Text("checkpoints", "") : null);
    }
}
