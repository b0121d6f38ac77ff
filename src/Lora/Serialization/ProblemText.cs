using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Lora.Serialization;

/// <summary>The text of a problem, which is put together only where there is one: checks of every tensor of a large file would make millions of texts for nothing.</summary>
[InterpolatedStringHandler]
internal readonly struct ProblemText
{
    private readonly StringBuilder? _text;

    public ProblemText(int literalLength, int formattedCount, bool condition, out bool isNeeded)
    {
        isNeeded = !condition;
        _text = isNeeded ? new StringBuilder(literalLength + (16 * formattedCount)) : null;
    }

    public void AppendLiteral(string text) => _text!.Append(text);

    public void AppendFormatted(string? text) => _text!.Append(text);

    public void AppendFormatted(long number) => _text!.Append(CultureInfo.InvariantCulture, $"{number}");

    public override string ToString() => _text!.ToString();
}
