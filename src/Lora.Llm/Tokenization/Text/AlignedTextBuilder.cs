using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Collects the units of a new <see cref="AlignedText"/>, each aligned with a unit of the text before it.</summary>
/// <param name="source">The text before.</param>
/// <param name="capacity">How many units are expected.</param>
/// <param name="originalLength">The length of the text before all steps, which decides how long it may become.</param>
internal sealed class AlignedTextBuilder(AlignedText source, int capacity, int originalLength)
{
    private readonly bool _isTracked = source.IsTracked;
    private char[] _units = new char[Math.Max(capacity, 16)];
    private int[]? _starts = source.IsTracked ? new int[Math.Max(capacity, 16)] : null;
    private int[]? _ends = source.IsTracked ? new int[Math.Max(capacity, 16)] : null;

    public int Length { get; private set; }

    /// <summary>Copies units of the source with their alignment.</summary>
    public void Copy(int start, int length)
    {
        Reserve(length);
        source.Slice(start, length).CopyTo(_units.AsSpan(Length));
        if (_isTracked)
        {
            for (int i = 0; i < length; i++)
            {
                _starts![Length + i] = source.StartOf(start + i);
                _ends![Length + i] = source.EndOf(start + i);
            }
        }

        Length += length;
    }

    /// <summary>Appends one unit that came from the unit at <paramref name="index"/> of the source; below 0: from nowhere, at the very start.</summary>
    public void Append(char unit, int index)
    {
        int position = Length;
        if (position == _units.Length)
        {
            Reserve(1);
        }

        _units[position] = unit;
        if (_isTracked)
        {
            _starts![position] = index < 0 ? 0 : source.StartOf(index);
            _ends![position] = index < 0 ? 0 : source.EndOf(index);
        }

        Length = position + 1;
    }

    public void Append(ReadOnlySpan<char> units, int index)
    {
        foreach (char unit in units)
        {
            Append(unit, index);
        }
    }

    public void Append(int codePoint, int index)
    {
        if (codePoint < 0x10000)
        {
            Append((char)codePoint, index);
            return;
        }

        Span<char> pair = stackalloc char[2];
        new Rune(codePoint).EncodeToUtf16(pair);
        Append(pair[0], index);
        Append(pair[1], index);
    }

    public AlignedText ToText() => AlignedText.FromParts(_units, Length, _starts, _ends);

    private void Reserve(int count)
    {
        if (Length + count <= _units.Length)
        {
            return;
        }

        // Steps that each double a text, such as writing bytes as characters, come many times in a damaged file.
        int most = RunawayTextException.MostOf(originalLength);
        if (Length + (long)count > most)
        {
            throw new RunawayTextException($"The tokenizer makes more than {most} characters of a text of {originalLength}: steps of its normalizer or pre_tokenizer come again and again. Take them out of the file.");
        }

        int size = Math.Max(_units.Length * 2, Length + count);
        Array.Resize(ref _units, size);
        if (_isTracked)
        {
            Array.Resize(ref _starts, size);
            Array.Resize(ref _ends, size);
        }
    }
}
