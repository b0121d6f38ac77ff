using System.Text;

namespace Lora.Targeting;

/// <summary>Collects the letters of <c>(?aimsux-imsx…)</c>.</summary>
internal sealed class PythonRegexFlags
{
    private readonly StringBuilder _set = new();
    private readonly StringBuilder _removed = new();

    /// <summary>The letters that .NET knows, in its form.</summary>
    internal string Text => _removed.Length > 0 ? $"{_set}-{_removed}" : _set.ToString();

    internal bool HasRemoved { get; private set; }

    internal bool? Verbose { get; private set; }

    internal bool? Ascii { get; private set; }

    internal bool Add(char c)
    {
        switch (c)
        {
            case '-' when !HasRemoved:
                HasRemoved = true;
                return true;
            case 'i' or 'm' or 's':
                (HasRemoved ? _removed : _set).Append(c);
                return true;
            case 'x':
                // Blanks and comments are taken out here: .NET's own x differs inside character sets.
                Verbose = !HasRemoved;
                return true;
            case 'a' or 'u' when !HasRemoved:
                Ascii = c == 'a';
                return true;
            default:
                return false;
        }
    }
}
