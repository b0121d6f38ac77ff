using Lora.Llm;
using Samples;

namespace Chat;

/// <summary>What the command line asks for.</summary>
internal sealed record ChatSettings(bool AsksForHelp, string Model, string Data, string Eval, ChatTemplate Template, int Steps, int Batch, int Length, int Replies, string Out) : ILessonSettings
{
    internal static readonly string Usage = $"""
        usage: dotnet run -c Release --project samples/05.Chat -- [options]

          --model FOLDER        a language model in Hugging Face form                 [the embedded tiny one]
          --data FILE           conversations to learn: JSONL of messages             [the embedded ones]
          --eval FILE           held-out conversations, needed with --data            [the embedded ones]
          --template NAME       how the model reads conversations:                    [zephyr]
                                {string.Join(", ", ChatTemplate.Names)}
          --steps N             optimizer steps                                       [60]
          --batch N             rows a batch                                          [8]
          --length N            tokens a row, into which short ones are packed        [256]
          --replies N           held-out conversations to reply in before and after   [12]
          --out FOLDER          where the adapter goes                                [artifacts/chat/adapter]
        """;

    /// <exception cref="UsageException">An argument is wrong.</exception>
    internal static ChatSettings Parse(string[] arguments)
    {
        var line = new CommandLine(arguments, ["model", "data", "eval", "template", "steps", "batch", "length", "replies", "out"]);
        if (line.Has("data") != line.Has("eval")) throw new UsageException($"--{(line.Has("data") ? "data" : "eval")} is given without --{(line.Has("data") ? "eval" : "data")}.");
        string name = line.Text("template", "zephyr");
        if (!ChatTemplate.Names.Contains(name)) throw new UsageException($"There is no template '{name}'; there are {string.Join(", ", ChatTemplate.Names)}.");
        // Beside the program, where the build has put them.
        string embedded = Path.GetRelativePath(Environment.CurrentDirectory, AppContext.BaseDirectory);
        return new ChatSettings(
            line.AsksForHelp, line.Text("model", Path.Combine(embedded, "model")), line.Text("data", Path.Combine(embedded, "data", "train.jsonl")),
            line.Text("eval", Path.Combine(embedded, "data", "eval.jsonl")), ChatTemplate.Named(name), line.Count("steps", 60, least: 1), line.Count("batch", 8, least: 1),
            line.Count("length", 256, least: 2), line.Count("replies", 12, least: 0), line.Text("out", Path.Combine("artifacts", "chat", "adapter")));
    }
}
