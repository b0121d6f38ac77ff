using System.Runtime.InteropServices;
using System.Text.Json;
using Lora;

namespace Samples;

/// <summary>Runs a lesson: Ctrl-C cancels it, and what goes wrong becomes a line and an exit code.</summary>
internal static class Lesson
{
    /// <returns>0 done, 1 something was not found, readable or writable, 2 wrong arguments, 130 cancelled.</returns>
    internal static int Run<TSettings>(string[] arguments, string usage, Func<string[], TSettings> parse, Action<TSettings, CancellationToken> run)
        where TSettings : ILessonSettings
    {
        using var cancellation = new CancellationTokenSource();
        Console.CancelKeyPress += (_, press) =>
        {
            press.Cancel = true;
            cancellation.Cancel();
        };
        try
        {
            TSettings settings = parse(arguments);
            if (settings.AsksForHelp) Console.WriteLine(usage);
            else run(settings, cancellation.Token);
            return 0;
        }
        catch (UsageException exception)
        {
            Console.Error.WriteLine($"error: {exception.Message}\n\n{usage}");
            return 2;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("Cancelled. Nothing was written.");
            return 130;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException or AdapterFormatException or ArgumentException
            or InvalidOperationException or NotSupportedException or ExternalException or JsonException)
        {
            string message = exception is ArgumentException { ParamName: string name } ? exception.Message.Replace($" (Parameter '{name}')", "", StringComparison.Ordinal) : exception.Message;
            Console.Error.WriteLine($"error: {message}");
            return 1;
        }
    }
}
