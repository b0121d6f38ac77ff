using System.Globalization;
using System.Text;

namespace Lora.Targeting;

/// <summary>
/// Rewrites a pattern of Python's <c>re</c> (3.11 and later, for str) in .NET's syntax. Every group gets its number as its name, since
/// .NET counts named groups after the others; <c>\w</c>, <c>\Z</c>, verbose mode, possessive quantifiers and the refusals that .NET does
/// not make (unknown escapes, flags in the middle, nothing to repeat) are Python's. Reasons are worded as Python words them.
/// </summary>
internal sealed class PythonRegexTranslator(string pattern)
{
    // Values of _atom that are no position: nothing that a quantifier could apply to.
    internal const int NoAtom = -1;
    internal const int Repeated = -2;

    private readonly StringBuilder _output = new();
    private readonly Stack<(int Start, bool Ascii, bool Verbose, int Opened)> _open = new();
    private readonly Dictionary<string, int> _names = new(StringComparer.Ordinal);
    private readonly List<(int Group, int At)> _conditions = [];
    private PythonRegexScanner _scanner = new(pattern);
    private bool _verbose;
    private int _groups;
    private int _atom = NoAtom;

    internal string Translate()
    {
        while (_scanner.TryNext(out char c))
        {
            if (_verbose && SkipBlank(c))
            {
                continue;
            }

            Step(c);
        }

        if (_open.TryPeek(out var group))
        {
            throw PythonRegexScanner.Error("missing ), unterminated subpattern", group.Opened);
        }

        // .NET would take a condition on a missing group for one on the text of its number.
        int missing = _conditions.FindIndex(condition => condition.Group > _groups);
        return missing < 0 ? _output.ToString() : throw InvalidReference(_conditions[missing].Group, _conditions[missing].At);
    }

    private void Step(char c)
    {
        int at = _scanner.Position - 1;
        switch (c)
        {
            case '\\':
                Emit(_scanner.Escape(_groups));
                break;
            case '[':
                Emit(new(_scanner.Class(), IsAtom: true));
                break;
            case '(':
                Group(at);
                break;
            case ')':
                var (start, ascii, verbose, _) = _open.Count > 0 ? _open.Pop() : throw PythonRegexScanner.Error("unbalanced parenthesis", at);
                (_scanner.Ascii, _verbose, _atom) = (ascii, verbose, start);
                _output.Append(')');
                break;
            case '|' or '^' or '$':
                Emit(new(c.ToString(), IsAtom: false));
                break;
            case '.':
                Emit(new(".", IsAtom: true));
                break;
            case '*' or '+' or '?' or '{':
                Quantifier(c, at);
                break;
            default:
                Emit(new(_scanner.Literal(c), IsAtom: true));
                break;
        }
    }

    private void Emit(PythonRegexPiece piece)
    {
        _atom = piece.IsAtom ? _output.Length : NoAtom;
        _output.Append(piece.Text);
    }

    private bool SkipBlank(char c)
    {
        if (c == '#')
        {
            while (_scanner.TryNext(out char next) && next != '\n')
            {
            }
        }

        return c is '#' or ' ' or '\t' or '\n' or '\r' or '\f' or '\v';
    }

    private void Quantifier(char c, int at)
    {
        string text = c.ToString();
        if (c == '{' && (text = _scanner.Bounds(at)).Length == 0)
        {
            Emit(new("\\{", IsAtom: true));
            return;
        }

        if (_atom < 0)
        {
            throw PythonRegexScanner.Error(_atom == Repeated ? "multiple repeat" : "nothing to repeat", at);
        }

        _output.Append(text);
        if (_scanner.Take('?'))
        {
            _output.Append('?');
        }
        else if (_scanner.Take('+'))
        {
            // Possessive: what it took it never gives back.
            _output.Insert(_atom, "(?>").Append(')');
        }

        _atom = Repeated;
    }

    private void Group(int at)
    {
        if (!_scanner.Take('?'))
        {
            Open(at, $"(?<{++_groups}>");
            return;
        }

        char kind = _scanner.Next("unexpected end of pattern");
        switch (kind)
        {
            case 'P':
                NamedGroup(at);
                break;
            case ':' or '=' or '!' or '>':
                Open(at, $"(?{kind}");
                break;
            case '<':
                char side = _scanner.Next("unexpected end of pattern");
                Open(at, side is '=' or '!' ? $"(?<{side}" : throw PythonRegexScanner.Error($"unknown extension ?<{side}", at + 1));
                break;
            case '#':
                _scanner.Until(')', "missing ), unterminated comment", at);
                break;
            case '(':
                Open(at, $"(?({Condition(_scanner.Until(')', "missing ), unterminated name", at + 3), at + 3)})");
                break;
            default:
                Flags(kind, at);
                break;
        }
    }

    private void NamedGroup(int at)
    {
        switch (_scanner.Next("unexpected end of pattern"))
        {
            case '<':
                string name = _scanner.Until('>', "missing >, unterminated name", at + 4);
                if (!IsIdentifier(name))
                {
                    throw PythonRegexScanner.Error(BadName(name), at + 4);
                }

                Open(at, $"(?<{++_groups}>");
                if (!_names.TryAdd(name, _groups))
                {
                    throw PythonRegexScanner.Error(string.Create(CultureInfo.InvariantCulture, $"redefinition of group name '{name}' as group {_groups}; was group {_names[name]}"), at + 4);
                }

                break;
            case '=':
                Emit(new($@"\k<{Named(_scanner.Until(')', "missing ), unterminated name", at + 4), at + 4)}>", IsAtom: true));
                break;
            case char other:
                throw PythonRegexScanner.Error($"unknown extension ?P{other}", at + 1);
        }
    }

    private void Flags(char first, int at)
    {
        var flags = new PythonRegexFlags();
        char c = first;
        while (c is not (')' or ':'))
        {
            if (!flags.Add(c))
            {
                throw PythonRegexScanner.Error(c == first ? $"unknown extension ?{c}" : "unknown flag", at + 1);
            }

            c = _scanner.Next("missing -, : or )");
        }

        if (c == ')' && (at > 0 || flags.HasRemoved))
        {
            throw PythonRegexScanner.Error("global flags not at the start of the expression", at);
        }

        if (c == ':')
        {
            Open(at, $"(?{flags.Text}:");
        }
        else
        {
            _output.Append(flags.Text.Length > 0 ? $"(?{flags.Text})" : "");
        }

        _verbose = flags.Verbose ?? _verbose;
        _scanner.Ascii = flags.Ascii ?? _scanner.Ascii;
    }

    private void Open(int at, string text)
    {
        _open.Push((_output.Length, _scanner.Ascii, _verbose, at));
        _output.Append(text);
        _atom = NoAtom;
    }

    private int Condition(string nameOrNumber, int at)
    {
        if (!int.TryParse(nameOrNumber, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            return Named(nameOrNumber, at);
        }

        _conditions.Add((number, at));
        return number > 0 ? number : throw PythonRegexScanner.Error("bad group number", at);
    }

    private int Named(string name, int at) => _names.TryGetValue(name, out int number)
        ? number
        : throw PythonRegexScanner.Error(IsIdentifier(name) ? $"unknown group name '{name}'" : BadName(name), at);

    private static PatternException InvalidReference(int group, int at) => PythonRegexScanner.Error(string.Create(CultureInfo.InvariantCulture, $"invalid group reference {group}"), at);

    private static string BadName(string name) => $"bad character in group name '{name}'";

    private static bool IsIdentifier(string name) => name.Length > 0 && !char.IsDigit(name[0]) && name.All(c => c == '_' || char.IsLetterOrDigit(c));
}
