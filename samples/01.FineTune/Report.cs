using System.Globalization;
using Lora.Llm;
using Spectre.Console;

namespace FineTune;

/// <summary>Says at the end what came of the training.</summary>
internal static class Report
{
    internal static void Write(FineTuneOptions options, TrainingResult result, ExactMatch matching, ExactMatch.Score before, ExactMatch.Score after)
    {
        var table = new Table().AddColumn("held out").AddColumn(new TableColumn("before").RightAligned()).AddColumn(new TableColumn("after").RightAligned());
        table.AddRow("loss (nats per token)", Text(result.EvaluationLossBefore), Text(result.EvaluationLossAfter));
        if (matching.Count > 0) table.AddRow($"exact match of {matching.Count}", Share(before), Share(after));
        AnsiConsole.Write(table);
        if (options.IsEmbeddedTask && matching.Count > 0) Console.WriteLine("The held-out examples pair colours and animals that training never paired.");
        if (matching.Count > 0)
        {
            Console.WriteLine($"prompt  {matching[0].Prompt}");
            Console.WriteLine($"wanted {matching[0].Completion}");
            Console.WriteLine($"before {OneLine(before.Texts[0])}");
            Console.WriteLine($"after  {OneLine(after.Texts[0])}");
        }
        Console.WriteLine(FormattableString.Invariant($"Saw {result.Tokens:N0} tokens in {result.Elapsed.TotalSeconds:F0} s. Wrote to {options.Out}:"));
        foreach (string name in new[] { "adapter_config.json", "adapter_model.safetensors", "loss.svg" })
            Console.WriteLine(FormattableString.Invariant($"  {name,-26} {new FileInfo(Path.Combine(options.Out, name)).Length,10:N0} bytes"));

        string Share(ExactMatch.Score score) => string.Create(CultureInfo.InvariantCulture, $"{100.0 * score.Matches / matching.Count:F1} %");
    }

    private static string Text(double? loss) => loss?.ToString("F4", CultureInfo.InvariantCulture) ?? "";

    private static string OneLine(string text) => text.ReplaceLineEndings(" ");
}
