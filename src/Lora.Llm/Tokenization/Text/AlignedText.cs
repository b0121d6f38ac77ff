namespace Lora.Llm.Tokenization;

/// <summary>
/// A text on its way from what the user wrote to what the model sees. Each UTF-16 unit knows the range of the original
/// that it came from. A text that nothing has changed yet needs no table for that; one whose origin nobody asked for has none.
/// </summary>
internal sealed class AlignedText
{
    private readonly char[] _units;
    private readonly int[]? _starts;
    private readonly int[]? _ends;

    private AlignedText(char[] units, int length, int[]? starts, int[]? ends, bool isTracked)
    {
        _units = units;
        Length = length;
        _starts = starts;
        _ends = ends;
        IsTracked = isTracked;
    }

    public int Length { get; }

    /// <summary>Whether ranges of the original are kept.</summary>
    public bool IsTracked { get; }

    public ReadOnlySpan<char> Units => _units.AsSpan(0, Length);

    public char this[int index] => _units[index];

    public static AlignedText FromOriginal(ReadOnlySpan<char> original, bool isTracked) =>
        new(original.ToArray(), original.Length, null, null, isTracked);

    public static AlignedText FromParts(char[] units, int length, int[]? starts, int[]? ends) =>
        new(units, length, starts, ends, isTracked: starts is not null);

    public ReadOnlySpan<char> Slice(int start, int length) => _units.AsSpan(start, length);

    /// <summary>Where in the original the unit's source begins.</summary>
    public int StartOf(int index) =>
        _starts is not null ? _starts[index] : index > 0 && IsTail(index) ? index - 1 : index;

    /// <summary>Where in the original the unit's source ends (exclusive).</summary>
    public int EndOf(int index) =>
        _ends is not null ? _ends[index] : index + 1 < Length && IsTail(index + 1) ? index + 2 : index + 1;

    private bool IsTail(int index) => char.IsLowSurrogate(_units[index]) && char.IsHighSurrogate(_units[index - 1]);
}
