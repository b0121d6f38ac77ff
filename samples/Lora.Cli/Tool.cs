using System.Runtime.InteropServices;
using Lora.Cli.Verbs;
using Samples;

namespace Lora.Cli;

/// <summary>Finds the verb of a command line, runs it, and turns what went wrong into one line and an exit code.</summary>
internal static class Tool
{
    private const int Failed = 1, WrongArguments = 2, Cancelled = 130;
    private const int ProblemsShown = 20;

    private static readonly Verb[] _verbs = [new InspectVerb(), new MergeVerb(), new ConvertVerb(), new ExportVerb(), new DiffVerb()];

    private static string Usage => $"""
        usage: lora VERB [arguments]

        {string.Join('\n', _verbs.Select(verb => $"  {verb.Name,-8} {verb.Summary}"))}

        lora VERB --help says more. Exit codes: 0 done, 1 failed (diff: they differ), 2 wrong arguments (diff: also failed), 130 cancelled.
        """;

    internal static int Run(IReadOnlyList<string> arguments, TextWriter output, TextWriter error, CancellationToken cancellationToken = default)
    {
        if (arguments.Count > 0 && arguments[0] is "--help" or "-h" or "-?")
        {
            output.WriteLine(Usage);
            return 0;
        }
        Verb? verb = arguments.Count == 0 ? null : Array.Find(_verbs, known => known.Name == arguments[0]);
        if (verb is null)
        {
            string found = arguments.Count == 0 ? "a verb is needed" : $"'{arguments[0]}' is no verb";
            error.WriteLine($"error: {found}: {string.Join(", ", _verbs.Select(known => known.Name))}. lora --help says more.");
            return WrongArguments;
        }
        try
        {
            var line = new CommandLine([.. arguments.Skip(1)], verb.Options, takesOperands: true);
            if (line.AsksForHelp)
            {
                output.WriteLine(verb.Usage);
                return 0;
            }
            return verb.Run(line, new Terminal(output), cancellationToken);
        }
        catch (UsageException exception)
        {
            error.WriteLine($"error: {exception.Message} lora {verb.Name} --help says more.");
            return WrongArguments;
        }
        catch (OperationCanceledException)
        {
            error.WriteLine("error: cancelled.");
            return Cancelled;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException or AdapterFormatException or ArgumentException
            or InvalidOperationException or NotSupportedException or ExternalException)
        {
            error.WriteLine($"error: {TextOf(exception)}");
            return verb is DiffVerb ? WrongArguments : Failed;
        }
    }

    private static string TextOf(Exception exception)
    {
        string message = exception switch
        {
            AdapterFormatException { Problems: var problems, Path: var path } =>
                $"{path}: {string.Join("; ", problems.Take(ProblemsShown).Select(problem => problem.TrimEnd('.')))}{(problems.Count > ProblemsShown ? $"; and {problems.Count - ProblemsShown} more" : "")}",
            ArgumentException { ParamName: string name } => exception.Message.Replace($" (Parameter '{name}')", "", StringComparison.Ordinal),
            _ => exception.Message,
        };
        return message.ReplaceLineEndings(" ");
    }
}
