namespace Lora.Export.Gguf;

/// <summary>Writes the numbers of one tensor in its type, in pieces of any length.</summary>
/// <param name="stream">Where the bytes go.</param>
/// <param name="type">The type.</param>
internal sealed class GgufEncoder(Stream stream, GgufType type)
{
    private const int BufferElements = 1 << 14;
    private readonly float[] _numbers = new float[BufferElements];
    private readonly byte[] _bytes = new byte[BufferElements / type.BlockLength() * type.BlockBytes()];
    private int _held;

    /// <summary>How many numbers were given.</summary>
    internal long Count { get; private set; }

    /// <summary>Whether all of them have a place in the type.</summary>
    internal bool Fits { get; private set; } = true;

    internal void Append(ReadOnlySpan<float> numbers)
    {
        Count += numbers.Length;
        while (!numbers.IsEmpty)
        {
            int taken = Math.Min(numbers.Length, BufferElements - _held);
            numbers[..taken].CopyTo(_numbers.AsSpan(_held));
            numbers = numbers[taken..];
            _held += taken;
            if (_held == BufferElements) Flush();
        }
    }

    /// <summary>Writes what is held back. The numbers must be whole blocks by now.</summary>
    internal void Flush()
    {
        int bytes = _held / type.BlockLength() * type.BlockBytes();
        Fits &= GgufCodec.TryEncode(_numbers.AsSpan(0, _held), type, _bytes.AsSpan(0, bytes));
        stream.Write(_bytes, 0, bytes);
        _held = 0;
    }
}
