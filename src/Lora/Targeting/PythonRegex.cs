using System.Globalization;
using System.Text.RegularExpressions;

namespace Lora.Targeting;

/// <summary>
/// A regular expression in Python's syntax, as PEFT's files hold them. It runs on the engine that never backtracks where that knows the
/// pattern's constructs, so that no pattern can take exponential time; elsewhere under a time limit.
/// </summary>
internal sealed class PythonRegex
{
    internal static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(2);

    private readonly string _pattern;

    // Made when it is first asked: the automaton takes a megabyte and more, which a file with many patterns, or with bad ones, should not cost while it is checked.
    private readonly Lazy<Regex> _regex;

    private PythonRegex(string pattern, string translated, bool backtracks)
    {
        _pattern = pattern;
        Regex backtracking = Parse(translated);
        _regex = new Lazy<Regex>(() => backtracks ? backtracking : WithoutBacktracking(translated) ?? backtracking);
    }

    /// <summary>Makes the counterpart of <c>re.fullmatch</c>.</summary>
    /// <exception cref="PatternException">The pattern is invalid.</exception>
    internal static PythonRegex FullMatch(string pattern) => new(pattern, $@"\A(?:{Translate(pattern)})\z", IsQuick(pattern));

    /// <summary>Makes the counterpart of <c>re.match</c>: the text's beginning must match.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="backtracks">Whether it runs on the engine that backtracks, which takes less memory, and under the time limit.</param>
    /// <exception cref="PatternException">The pattern is invalid.</exception>
    internal static PythonRegex Match(string pattern, bool backtracks = false) => new(pattern, $@"\A(?:{Translate(pattern)})", backtracks);

    /// <summary>
    /// Whether a pattern is nothing but names, dots, and repetitions of single characters, as most are: it is valid without being parsed, which takes kilobytes for each.
    /// </summary>
    internal static bool IsPlain(string pattern)
    {
        bool repeats = false;
        for (int i = 0; i < pattern.Length; i++)
        {
            char c = pattern[i];
            if (char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') repeats = true;
            else if (c == '\\' && i + 1 < pattern.Length && pattern[i + 1] == '.') (i, repeats) = (i + 1, true);
            else if (c is '*' or '+' && repeats) repeats = false;
            else if (!((c == '^' && i == 0) || (c == '$' && i == pattern.Length - 1))) return false;
        }
        return true;
    }

    /// <summary>Whether a plain pattern repeats so little that an engine that backtracks is done with a module's path at once.</summary>
    internal static bool IsQuick(string pattern) => IsPlain(pattern) && pattern.Count(c => c is '*' or '+') <= 2;

    /// <exception cref="InvalidOperationException">The pattern took longer than <see cref="TimeLimit"/>.</exception>
    internal bool IsMatch(string text) => Run(text, _regex.Value.IsMatch);

    /// <summary>What the first group of the pattern matches, or null where the pattern does not match.</summary>
    /// <exception cref="InvalidOperationException">The pattern took longer than <see cref="TimeLimit"/>.</exception>
    internal string? FirstGroup(string text) => Run(text, input => _regex.Value.Match(input) is { Success: true } match ? match.Groups[1].Value : null);

    private T Run<T>(string text, Func<string, T> match)
    {
        try
        {
            return match(text);
        }
        catch (RegexMatchTimeoutException exception)
        {
            string seconds = TimeLimit.TotalSeconds.ToString(CultureInfo.InvariantCulture);
            throw new InvalidOperationException($"The pattern '{_pattern}' was given up after {seconds} s on the module path '{text}'. Nested repetitions such as (a+)+ cause this: write it without them.", exception);
        }
    }

    private static string Translate(string pattern) => new PythonRegexTranslator(pattern).Translate();

    private static Regex? WithoutBacktracking(string translated)
    {
        try
        {
            return new Regex(translated, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        }
        catch (NotSupportedException)
        {
            return null;
        }
    }

    private static Regex Parse(string translated)
    {
        try
        {
            return new Regex(translated, RegexOptions.CultureInvariant, TimeLimit);
        }
        catch (RegexParseException exception)
        {
            // "UnterminatedBracket" to "unterminated bracket"; offsets would point into the translation.
            throw new PatternException(string.Concat(exception.Error.ToString().Select((c, i) => char.IsUpper(c) ? (i > 0 ? " " : "") + char.ToLowerInvariant(c) : c.ToString())), exception);
        }
    }
}
