using System.Globalization;
using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>A set of code points as sorted ranges, with those sets of Unicode 8.0 that the reference's results depend on.</summary>
internal sealed partial class CharacterRanges
{
    private readonly int[] _starts;
    private readonly int[] _ends;

    private CharacterRanges(string data)
    {
        string[][] ranges = [.. data.Split(' ').Select(range => range.Split('-'))];
        _starts = [.. ranges.Select(range => Hex(range[0]))];
        _ends = [.. ranges.Select(range => Hex(range[^1]))];
    }

    /// <summary>General category P.</summary>
    public static CharacterRanges Punctuation { get; } = new(PunctuationData);

    /// <summary>General category Mn.</summary>
    public static CharacterRanges NonSpacingMarks { get; } = new(NonSpacingMarksData);

    /// <summary>General categories Cc and Cf.</summary>
    public static CharacterRanges ControlsAndFormats { get; } = new(ControlsAndFormatsData);

    public bool Contains(Rune rune)
    {
        int index = Array.BinarySearch(_starts, rune.Value);
        return index >= 0 || (index < -1 && rune.Value <= _ends[~index - 1]);
    }

    private static int Hex(string digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
