using System.Buffers;
using System.Text;

namespace Lora.Fuzzing.Running;

/// <summary>What the message of a rejection has to say, and which messages are of one kind.</summary>
internal static class ErrorText
{
    private const int KindLength = 110;

    // Numbers and quotes, the underscore and the brackets of a field.
    private static readonly SearchValues<char> _signs = SearchValues.Create("0123456789\"_[");

    // Said of a whole file, in which there is no place to name.
    private static readonly string[] _ofWhole = ["must hold a JSON object", "should hold a JSON object", "holds no example", "the header is not valid JSON: it must be an object"];

    /// <summary>What a message lacks: the file, or where in it; null for nothing.</summary>
    internal static string? Missing(string message, string file)
    {
        int found = message.IndexOf(file, StringComparison.Ordinal);
        if (found < 0) return $"the file's name '{file}'";
        // The place: a line, byte or number, a name in quotes, or a field with its underscore, its dot or its brackets.
        string rest = message.Remove(found, file.Length).Replace("UTF-8", "", StringComparison.Ordinal);
        bool names = rest.Contains(" must be ", StringComparison.Ordinal) || rest.AsSpan().IndexOfAny(_signs) >= 0 || rest.Count(c => c == '\'') > 1 || _ofWhole.Any(text => rest.Contains(text, StringComparison.Ordinal)) || HasPath(rest);
        return names ? null : "the place in the file";
    }

    /// <summary>A message without what changes from file to file.</summary>
    internal static string Kind(Exception exception, string file)
    {
        string message = exception is AdapterFormatException { Problems.Count: > 1 } listed ? $"(of several) {listed.Problems[0]}" : exception.Message;
        return Kind($"{exception.GetType().Name}: {message}", file);
    }

    /// <inheritdoc cref="Kind(Exception, string)"/>
    internal static string Kind(string message, string file)
    {
        var kind = new StringBuilder();
        char quote = '\0';
        foreach (char c in message.Replace(file, "…", StringComparison.Ordinal))
        {
            if (kind.Length > KindLength) break;
            if (quote != '\0')
            {
                if (c == quote) (quote, _) = ('\0', kind.Append(c));
                continue;
            }
            if (c is '\'' or '"') quote = c;
            if (!char.IsAsciiDigit(c)) kind.Append(char.IsControl(c) ? ' ' : c);
            else if (kind.Length == 0 || kind[^1] != '#') kind.Append('#');
        }
        return kind.ToString();
    }

    // model.vocab and the like.
    private static bool HasPath(string text)
    {
        for (int i = 1; i + 1 < text.Length; i++)
        {
            if (text[i] == '.' && char.IsAsciiLetter(text[i - 1]) && char.IsAsciiLetter(text[i + 1])) return true;
        }
        return false;
    }
}
