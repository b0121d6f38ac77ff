using Lora;
using Samples;

namespace Inspect;

/// <summary>What the command line asks for.</summary>
internal sealed record InspectSettings(bool AsksForHelp, string Model, string? Adapter, string Data, int Steps, string Out, int Rows, InspectionMeasure Measure) : ILessonSettings
{
    internal const string Usage = """
        usage: dotnet run -c Release --project samples/02.Inspect -- [options]

          --model FOLDER        a language model in Hugging Face form                 [the embedded tiny one]
          --adapter FOLDER      an adapter of it, in PEFT's form                      [one that is trained for the occasion]
          --steps N             steps of that training                                [40]
          --measure KIND        relativenorm, deltanorm, spectralnorm, effectiverank  [relativenorm]
          --rows N              rows of the table, those that moved most              [20]
          --out FILE            where the heat map goes                               [artifacts/inspect/adapter.svg]
        """;

    /// <exception cref="UsageException">An argument is wrong.</exception>
    internal static InspectSettings Parse(string[] arguments)
    {
        var line = new CommandLine(arguments, ["model", "adapter", "steps", "measure", "rows", "out"]);
        if (line.Has("model") && !line.Has("adapter")) throw new UsageException("--model is given without --adapter.");
        // Beside the program, where the build has put them.
        string embedded = Path.GetRelativePath(Environment.CurrentDirectory, AppContext.BaseDirectory);
        return new InspectSettings(
            line.AsksForHelp, line.Text("model", Path.Combine(embedded, "model")), line.Has("adapter") ? line.Text("adapter", "") : null, Path.Combine(embedded, "data", "train.jsonl"),
            line.Count("steps", 40, least: 1), line.Text("out", Path.Combine("artifacts", "inspect", "adapter.svg")), line.Count("rows", 20, least: 1), line.Choice("measure", InspectionMeasure.RelativeNorm));
    }
}
