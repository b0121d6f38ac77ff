using System.Buffers;
using System.Text;
using System.Text.RegularExpressions;

namespace Lora.Llm.Tokenization;

/// <summary>
/// Rewrites a regular expression from Oniguruma's syntax, which Hugging Face uses, into .NET's. What the two read differently is
/// rewritten; what cannot be is refused.
/// </summary>
internal sealed class OnigurumaSyntax
{
    // Oniguruma's \w: letters, marks, decimal digits, connectors, and what else is alphabetic. Outside of classes it also finds
    // the numbers of Latin-1.
    private const string ClassWordMembers = @"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u24B6-\u24E9";
    private const string WordMembers = ClassWordMembers + @"\u00B2\u00B3\u00B9\u00BC-\u00BE";

    private static readonly SearchValues<char> QuantifierMembers = SearchValues.Create("0123456789,");

    private readonly JsonPart _part;
    private readonly string _pattern;
    private readonly StringBuilder _output = new();
    private readonly Stack<(int Start, bool IgnoresCase)> _groups = new();
    private bool _ignoresCase;
    private int _position;

    private OnigurumaSyntax(JsonPart part)
    {
        _part = part;
        _pattern = part.AsString();
    }

    /// <exception cref="NotSupportedException">The expression uses something that .NET has no equal of.</exception>
    /// <exception cref="InvalidDataException">The expression is malformed.</exception>
    public static Regex Translate(JsonPart part)
    {
        var syntax = new OnigurumaSyntax(part);
        syntax.Run();
        try
        {
            // In Oniguruma ^ and $ mean lines.
            return new Regex(syntax._output.ToString(), RegexOptions.CultureInvariant | RegexOptions.Multiline, RegexPattern.TimeLimit);
        }
        catch (RegexParseException error)
        {
            throw part.Unsupported($"'{syntax._pattern}' is a regular expression that .NET cannot run: {error.Message}");
        }
    }

    private void Run()
    {
        int atom = 0;
        while (_position < _pattern.Length)
        {
            char c = _pattern[_position];
            switch (c)
            {
                case '\\':
                    atom = _output.Length;
                    Escape(inClass: false);
                    break;
                case '[':
                    atom = _output.Length;
                    Class();
                    break;
                case '(':
                    OpenGroup();
                    break;
                case ')':
                    atom = CloseGroup();
                    break;
                case '*' or '+' or '?' or '{' when Quantifier() is { } quantifier:
                    Quantify(atom, quantifier);
                    break;
                default:
                    atom = _output.Length;
                    Literal(c);
                    break;
            }
        }
    }

    private void Literal(char c)
    {
        if (char.IsSurrogate(c))
        {
            throw Refused("a character beyond U+FFFF");
        }

        // Oniguruma folds U+017F to s and U+212A to k; .NET knows only the second.
        _output.Append(_ignoresCase && c is 's' or 'S' ? "[sS\u017F]" : c.ToString());
        _position++;
    }

    private void Escape(bool inClass)
    {
        if (_position + 1 == _pattern.Length)
        {
            throw Refused("a backslash at its end");
        }

        char c = _pattern[_position + 1];
        _position += 2;
        switch (c)
        {
            case 'w':
                _output.Append(inClass ? ClassWordMembers : $"[{WordMembers}]");
                break;
            case 'W' when !inClass:
                _output.Append($"[^{WordMembers}]");
                break;
            // .NET's own means the border of .NET's \w.
            case 'b' when !inClass:
                _output.Append($"(?:(?<=[{WordMembers}])(?![{WordMembers}])|(?<![{WordMembers}])(?=[{WordMembers}]))");
                break;
            case 'B' when !inClass:
                _output.Append($"(?:(?<=[{WordMembers}])(?=[{WordMembers}])|(?<![{WordMembers}])(?![{WordMembers}]))");
                break;
            case 'h' when !inClass:
                _output.Append("[0-9a-fA-F]");
                break;
            case 'p' or 'P':
                Property(c);
                break;
            case 'x' when _position < _pattern.Length && _pattern[_position] == '{':
                int end = _pattern.IndexOf('}', _position);
                string digits = end < 0 ? "" : _pattern[(_position + 1)..end];
                if (digits.Length is 0 or > 4)
                {
                    throw Refused("a character beyond U+FFFF");
                }

                _output.Append($"\\u{digits.PadLeft(4, '0')}");
                _position = end + 1;
                break;
            case 'h' or 'H' or 'R' or 'X' or 'K' or 'g' or 'k' or 'N' or 'O' or 'y' or 'Y' or 'W':
                throw Refused($"\\{c}");
            default:
                _output.Append('\\').Append(c);
                break;
        }
    }

    private void Property(char letter)
    {
        int end = _position < _pattern.Length && _pattern[_position] == '{' ? _pattern.IndexOf('}', _position) : -1;
        if (end < 0)
        {
            throw Refused($"\\{letter} without a name in braces");
        }

        string name = _pattern[(_position + 1)..end];
        if (name.StartsWith('^'))
        {
            letter = letter == 'p' ? 'P' : 'p';
            name = name[1..];
        }

        name = name switch
        {
            "Letter" => "L",
            "Mark" => "M",
            "Number" => "N",
            "Punctuation" or "Punct" => "P",
            "Symbol" => "S",
            "Separator" => "Z",
            _ => name,
        };
        _output.Append('\\').Append(letter).Append('{').Append(name).Append('}');
        _position = end + 1;
    }

    private void Class()
    {
        _output.Append('[');
        _position++;
        if (_position < _pattern.Length && _pattern[_position] == '^')
        {
            _output.Append('^');
            _position++;
        }

        for (bool first = true; ; first = false)
        {
            if (_position >= _pattern.Length)
            {
                throw Refused("a class without an end");
            }

            char c = _pattern[_position];
            if (c == ']' && !first)
            {
                _output.Append(']');
                _position++;
                return;
            }

            if (c == '[' || (c == '&' && _pattern.AsSpan(_position).StartsWith("&&")) || char.IsSurrogate(c))
            {
                throw Refused(c switch { '[' => "a class inside a class", '&' => "an intersection of classes", _ => "a character beyond U+FFFF" });
            }

            if (c == '\\')
            {
                Escape(inClass: true);
            }
            else
            {
                _output.Append(_ignoresCase && c is 's' or 'S' ? $"{c}\u017F" : c.ToString());
                _position++;
            }
        }
    }

    private void OpenGroup()
    {
        _groups.Push((_output.Length, _ignoresCase));
        if (_position + 1 < _pattern.Length && _pattern[_position + 1] == '?')
        {
            int end = _position + 2;
            while (end < _pattern.Length && (char.IsAsciiLetter(_pattern[end]) || _pattern[end] == '-'))
            {
                end++;
            }

            string flags = _pattern[(_position + 2)..end];
            if (flags is not ("" or "i" or "-i") || end == _pattern.Length || (flags.Length > 0 && _pattern[end] is not (':' or ')')))
            {
                throw Refused($"a group that starts with (?{flags}");
            }

            if (flags.Length > 0)
            {
                _ignoresCase = flags == "i";
                if (_pattern[end] == ')')
                {
                    // (?i) alone holds to the end of the group around it.
                    _groups.Pop();
                }

                _output.Append(_pattern, _position, end + 1 - _position);
                _position = end + 1;
                return;
            }

            int length = _pattern.AsSpan(end).StartsWith("<=") || _pattern.AsSpan(end).StartsWith("<!") ? 2 : 1;
            if (_pattern[end] is not (':' or '=' or '!' or '>') && length == 1)
            {
                throw Refused($"a group that starts with (?{_pattern[end]}");
            }

            _output.Append("(?").Append(_pattern, end, length);
            _position = end + length;
            return;
        }

        _output.Append('(');
        _position++;
    }

    private int CloseGroup()
    {
        if (!_groups.TryPop(out (int Start, bool IgnoresCase) group))
        {
            throw Refused("a closing parenthesis without an opening one");
        }

        _ignoresCase = group.IgnoresCase;
        _output.Append(')');
        _position++;
        return group.Start;
    }

    private string? Quantifier()
    {
        if (_pattern[_position] != '{')
        {
            return _pattern[_position].ToString();
        }

        // Only as far as a quantifier can reach: a pattern of nothing but braces would be searched to its end from each.
        int length = _pattern.AsSpan(_position + 1).IndexOfAnyExcept(QuantifierMembers);
        return length > 0 && _pattern[_position + 1 + length] == '}' && _pattern[_position + 1] != ','
            ? _pattern.Substring(_position, length + 2)
            : null;
    }

    private void Quantify(int atom, string quantifier)
    {
        _output.Append(quantifier);
        _position += quantifier.Length;
        if (_position < _pattern.Length && _pattern[_position] == '?')
        {
            _output.Append('?');
            _position++;
        }
        else if (_position < _pattern.Length && _pattern[_position] == '+')
        {
            // X++ keeps what it took; X{1,3}+ is a repetition of a repetition.
            bool isPossessive = quantifier.Length == 1;
            _output.Insert(atom, isPossessive ? "(?>" : "(?:").Append(isPossessive ? ")" : ")+");
            _position++;
        }
    }

    private NotSupportedException Refused(string what) =>
        _part.Unsupported($"'{_pattern}' holds {what}, which this reader does not translate.");
}
