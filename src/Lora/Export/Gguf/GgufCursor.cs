using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;

namespace Lora.Export.Gguf;

/// <summary>Walks over the bytes of a GGUF file's head. Nothing is taken at its word: each length is compared with what is left of the file before anything is made of that length.</summary>
internal sealed unsafe class GgufCursor(string path, byte* start, long length)
{
    // A hostile name may be as long as the file.
    private const int LongestQuote = 80;

    internal long Position { get; private set; }

    internal long Left => length - Position;

    internal uint UInt32(string what) => BinaryPrimitives.ReadUInt32LittleEndian(Take(4, what));

    internal ulong UInt64(string what) => BinaryPrimitives.ReadUInt64LittleEndian(Take(8, what));

    internal ReadOnlySpan<byte> Take(int count, string what)
    {
        if (count > Left) throw Problem(Position, $"{what} takes {count} bytes, but the file ends after {Left}.");
        var taken = new ReadOnlySpan<byte>(start + Position, count);
        Position += count;
        return taken;
    }

    internal string Text(string what, int longest = int.MaxValue)
    {
        long place = Position;
        ulong count = UInt64($"the length of {what}");
        if (count > (ulong)Left) throw Problem(place, $"{what} has {count} bytes, but the file ends after {Left}.");
        if (count > (ulong)longest) throw Problem(place, $"{what} has {count} bytes; {longest} are allowed.");
        ReadOnlySpan<byte> bytes = Take((int)count, what);
        return Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw Problem(place + 8, $"{what} is not valid UTF-8.");
    }

    /// <summary>Makes the error for a place in the file.</summary>
    internal AdapterFormatException Problem(long place, string problem) => new(path, $"byte {place}: {problem}");

    internal static string Quote(string name) => name.Length <= LongestQuote ? $"'{name}'" : $"'{name.AsSpan(0, LongestQuote)}…'";
}
