using Spectre.Console;

namespace Lora.Cli;

/// <summary>Where a verb writes.</summary>
internal sealed class Terminal
{
    private const int WidthOfFiles = 200;

    internal Terminal(TextWriter output)
    {
        bool isTerminal = ReferenceEquals(output, System.Console.Out) && !System.Console.IsOutputRedirected;
        Console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output), Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No, Interactive = isTerminal ? InteractionSupport.Detect : InteractionSupport.No });
        // Elsewhere there is no edge at which lines would have to break.
        if (!isTerminal) Console.Profile.Width = WidthOfFiles;
        ShowsBars = isTerminal && Console.Profile.Capabilities.Ansi;
    }

    internal IAnsiConsole Console { get; }

    private bool ShowsBars { get; }

    internal void Line(string text = "") => Console.WriteLine(text);

    /// <summary>Writes a table; columns whose titles begin with a blank are numbers.</summary>
    internal void Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        var table = new Table().Border(TableBorder.Simple);
        foreach (string column in columns) table.AddColumn(column.StartsWith(' ') ? new TableColumn(Markup.Escape(column.Trim())).RightAligned() : new TableColumn(Markup.Escape(column)));
        foreach (IReadOnlyList<string> row in rows) table.AddRow([.. row.Select(Markup.Escape)]);
        Console.Write(table);
    }

    /// <summary>Runs something that tells how far it has come: with a bar on a terminal, silently elsewhere.</summary>
    /// <param name="fraction">How much of the whole is done, from 0 to 1.</param>
    /// <param name="text">What was done last.</param>
    /// <param name="run">What runs.</param>
    internal TResult Watch<TStep, TResult>(Func<TStep, double> fraction, Func<TStep, string> text, Func<IProgress<TStep>, TResult> run)
    {
        if (!ShowsBars) return run(new Told<TStep>(_ => { }));
        return Console.Progress().Columns(new ProgressBarColumn(), new PercentageColumn(), new TaskDescriptionColumn { Alignment = Justify.Left }).Start(context =>
        {
            ProgressTask task = context.AddTask("reading", maxValue: 1);
            return run(new Told<TStep>(step =>
            {
                task.Value = fraction(step);
                task.Description = Markup.Escape(text(step));
            }));
        });
    }

    /// <summary>Handles each report at once, on the thread that works.</summary>
    private sealed class Told<T>(Action<T> handle) : IProgress<T>
    {
        public void Report(T value) => handle(value);
    }
}
