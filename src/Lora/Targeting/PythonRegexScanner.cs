using System.Buffers;
using System.Globalization;
using System.Text;

namespace Lora.Targeting;

/// <summary>A piece of a translated pattern, and whether a quantifier may follow it.</summary>
internal readonly record struct PythonRegexPiece(string Text, bool IsAtom);

/// <summary>Walks along a pattern of Python's <c>re</c> and translates its smallest parts: literals, escapes, character sets and bounds.</summary>
internal sealed class PythonRegexScanner(string pattern)
{
    // Python's \w is str.isalnum() or an underscore; .NET's holds combining marks and other connectors too.
    internal const string Word = @"\p{L}\p{N}_";
    internal const string NoWord = @"\p{M}\p{Z}\p{S}\p{C}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}\u203F\u2040\u2054\uFE33\uFE34\uFE4D-\uFE4F\uFF3F";

    private static readonly SearchValues<char> _bounds = SearchValues.Create("0123456789,");

    internal int Position { get; private set; }

    internal bool Ascii { get; set; }

    internal static PatternException Error(string reason, int position) => new(string.Create(CultureInfo.InvariantCulture, $"{reason} at position {position}"));

    internal bool TryNext(out char c)
    {
        c = Position < pattern.Length ? pattern[Position] : '\0';
        return Position++ < pattern.Length;
    }

    internal char Next(string reason) => TryNext(out char c) ? c : throw Error(reason, pattern.Length);

    internal bool Take(char c)
    {
        bool taken = Position < pattern.Length && pattern[Position] == c;
        Position += taken ? 1 : 0;
        return taken;
    }

    internal string Until(char end, string reason, int at)
    {
        int found = pattern.IndexOf(end, Position);
        if (found < 0)
        {
            throw Error(reason, at);
        }

        string text = pattern[Position..found];
        Position = found + 1;
        return text;
    }

    internal string Literal(char c)
    {
        // One character to Python, two to .NET: a quantifier must hold both.
        if (char.IsHighSurrogate(c) && Position < pattern.Length && char.IsLowSurrogate(pattern[Position]))
        {
            return $"(?:{c}{pattern[Position++]})";
        }

        return @"\*+?|{}[]()^$.# ".Contains(c, StringComparison.Ordinal) ? $@"\{c}" : c.ToString();
    }

    /// <summary>Reads <c>{m,n}</c> behind its brace; empty where it is none and the brace is a literal.</summary>
    internal string Bounds(int at)
    {
        // Only as far as bounds can reach: a pattern of nothing but braces would be searched to its end from each.
        int length = pattern.AsSpan(Position).IndexOfAnyExcept(_bounds);
        if (length <= 0 || pattern[Position + length] != '}')
        {
            return "";
        }

        string[] parts = pattern.Substring(Position, length).Split(',');
        if (parts.Length > 2)
        {
            return "";
        }

        Position += length + 1;
        int low = Bound(parts[0], 0, at), high = Bound(parts[^1], int.MaxValue, at);
        return low <= high
            ? string.Create(CultureInfo.InvariantCulture, $"{{{low}{(high == int.MaxValue ? "," : high == low ? "" : $",{high}")}}}")
            : throw Error("min repeat greater than max repeat", at + 1);
    }

    /// <summary>Reads an escape outside a character set, behind its backslash.</summary>
    internal PythonRegexPiece Escape(int groups)
    {
        int at = Position - 1;
        char c = Escaped(at);
        switch (c)
        {
            case 'A' or 'b' or 'B':
                return new($@"\{c}", IsAtom: false);
            case 'Z' or 'z':
                return new(@"\z", IsAtom: false);
            case >= '1' and <= '9':
                if (Octal(c) is { } octal)
                {
                    return new(CodeText(octal), IsAtom: true);
                }

                int group = c - '0';
                if (Position < pattern.Length && char.IsAsciiDigit(pattern[Position]))
                {
                    group = (group * 10) + (pattern[Position++] - '0');
                }

                return group <= groups ? new($@"\k<{group}>", IsAtom: true) : throw Error($"invalid group reference {group}", at + 1);
            default:
                return new(Category(c) is { } set ? $"[{set}]" : CodeText(Code(c, at)), IsAtom: true);
        }
    }

    /// <summary>Reads a character set behind its opening bracket.</summary>
    internal string Class()
    {
        int at = Position - 1;
        var text = new StringBuilder(Take('^') ? "[^" : "[");
        int first = Position;
        for (char c = NextInClass(at); c != ']' || Position - 1 == first; c = NextInClass(at))
        {
            int start = Position - 1;
            (int? low, string part) = ClassItem(c);
            if (Position + 1 < pattern.Length && pattern[Position] == '-' && pattern[Position + 1] != ']')
            {
                Position++;
                (int? high, string last) = ClassItem(NextInClass(at));
                part = low <= high ? $"{part}-{last}" : throw Error($"bad character range {pattern[start..Position]}", start);
            }

            text.Append(part);
        }

        return text.Append(']').ToString();
    }

    private static int Bound(string digits, int absent, int at) => digits.Length == 0
        ? absent
        : int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : throw Error("the repetition number is too large", at);

    private static string CodeText(int code) => code > char.MaxValue ? $"(?:{char.ConvertFromUtf32(code)})" : $@"\u{code:X4}";

    private char Escaped(int at) => TryNext(out char c) ? c : throw Error("bad escape (end of pattern)", at);

    private char NextInClass(int at) => TryNext(out char c) ? c : throw Error("unterminated character set", at);

    private (int? Code, string Text) ClassItem(char c)
    {
        int at = Position - 1;
        int code = c;
        if (c == '\\')
        {
            char escaped = Escaped(at);
            if (Category(escaped) is { } set)
            {
                return (null, set);
            }

            code = escaped == 'b' ? '\b' : Code(escaped, at);
        }

        return char.IsSurrogate(c) || code > char.MaxValue ? throw Error("a character set cannot hold characters beyond U+FFFF here", at) : (code, $@"\u{code:X4}");
    }

    private string? Category(char c) => (c, Ascii) switch
    {
        ('d', false) or ('D', false) or ('s', false) or ('S', false) => $@"\{c}",
        ('w', false) => Word,
        ('W', false) => NoWord,
        ('d', true) => "0-9",
        ('D', true) => @"\0-/:-\uFFFF",
        ('s', true) => @"\t-\r ",
        ('S', true) => @"\0-\b\x0E-\x1F!-\uFFFF",
        ('w', true) => "a-zA-Z0-9_",
        ('W', true) => @"\0-/:-@\[-\^`{-\uFFFF",
        _ => null,
    };

    /// <summary>The character that an escape stands for.</summary>
    private int Code(char c, int at) => c switch
    {
        'a' => '\a',
        'f' => '\f',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\v',
        'x' => Hex(2, at),
        'u' => Hex(4, at),
        'U' => Hex(8, at),
        >= '0' and <= '7' when Octal(c) is { } octal => octal,
        _ when char.IsAsciiLetterOrDigit(c) => throw Error($@"bad escape \{c}", at),
        _ => c,
    };

    private int Hex(int digits, int at)
    {
        ReadOnlySpan<char> text = pattern.AsSpan(Position, Math.Min(digits, pattern.Length - Position));
        bool valid = text.Length == digits && int.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _);
        int code = valid ? int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) : -1;
        Position += digits;
        return code is >= 0 and <= 0x10FFFF && (code > char.MaxValue || !char.IsSurrogate((char)code)) ? code : throw Error("incomplete or invalid escape", at);
    }

    /// <summary>Reads <c>\0</c>, <c>\0d</c>, <c>\0dd</c> or three octal digits; null where the digits are a reference to a group.</summary>
    private int? Octal(char c)
    {
        int length = 0;
        while (length < 2 && Position + length < pattern.Length && pattern[Position + length] is >= '0' and <= '7')
        {
            length++;
        }

        if (c > '7' || (c != '0' && length < 2))
        {
            return null;
        }

        int code = Convert.ToInt32($"{c}{pattern.AsSpan(Position, length)}", 8);
        Position += length;
        return code;
    }
}
