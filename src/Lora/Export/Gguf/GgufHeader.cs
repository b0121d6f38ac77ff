using System.Collections.Immutable;
using System.Numerics;

namespace Lora.Export.Gguf;

/// <summary>What stands before the data of a GGUF file: metadata and the table of tensors.</summary>
internal sealed class GgufHeader
{
    internal const uint Magic = 0x46554747; // "GGUF"
    internal const uint LatestVersion = 3;
    internal const string AlignmentKey = "general.alignment";
    internal const int DefaultAlignment = 32;
    internal const uint LargestAlignment = 1 << 30;
    internal const int LongestKey = 65535;
    internal const int LongestName = 64;
    internal const int MostDimensions = 4;

    // A key of one letter with a value of one byte; a tensor of one letter with one dimension.
    private const int SmallestPair = 8 + 1 + 4 + 1;
    private const int SmallestTensor = 8 + 1 + 4 + 8 + 4 + 8;

    private readonly OrderedDictionary<string, object> _metadata = new(StringComparer.Ordinal);
    private readonly List<GgufEntry> _entries = [];

    internal uint Version { get; private set; }

    internal IReadOnlyDictionary<string, object> Metadata => _metadata;

    internal IReadOnlyList<GgufEntry> Entries => _entries;

    internal long Alignment { get; private set; } = DefaultAlignment;

    /// <summary>Where the data begin in the file.</summary>
    internal long DataStart { get; private set; }

    /// <exception cref="AdapterFormatException">The bytes break the format's rules; the message names the place.</exception>
    internal static unsafe GgufHeader Parse(string path, byte* start, long length)
    {
        var cursor = new GgufCursor(path, start, length);
        var header = new GgufHeader();
        uint magic = cursor.UInt32("the mark 'GGUF'");
        if (magic != Magic) throw cursor.Problem(0, "a GGUF file begins with the letters GGUF, but this one does not.");
        header.Version = cursor.UInt32("the version");
        if (header.Version is not (2 or LatestVersion))
            throw cursor.Problem(4, header.Version % 65536 == 0 ? "the file is in big-endian order, which is not supported: convert it with the tools that it was made with." : $"the version is {header.Version}, but 2 and {LatestVersion} are supported.");
        ulong tensors = cursor.UInt64("the number of tensors"), pairs = cursor.UInt64("the number of keys");
        if (tensors > (ulong)(cursor.Left / SmallestTensor)) throw cursor.Problem(8, $"the file claims {tensors} tensors, for which its {length} bytes have no room.");
        if (pairs > (ulong)(cursor.Left / SmallestPair)) throw cursor.Problem(16, $"the file claims {pairs} keys, for which its {length} bytes have no room.");
        for (ulong i = 0; i < pairs; i++) header.ReadPair(cursor, i);
        header.ReadAlignment(cursor);
        long expected = 0;
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (ulong i = 0; i < tensors; i++) expected = header.ReadTensor(cursor, i, names, expected, length);
        header.DataStart = Padded(cursor.Position, header.Alignment);
        header.CheckEnd(cursor, length);
        return header;
    }

    internal static long Padded(long position, long alignment) => checked((position + alignment - 1) / alignment * alignment);

    private void ReadPair(GgufCursor cursor, ulong number)
    {
        long place = cursor.Position;
        string key = cursor.Text($"the name of key {number}", LongestKey);
        if (key.Length == 0) throw cursor.Problem(place, $"the name of key {number} is empty.");
        object value = GgufValues.Read(cursor, $"key {GgufCursor.Quote(key)}");
        if (!_metadata.TryAdd(key, value)) throw cursor.Problem(place, $"key {GgufCursor.Quote(key)} appears twice.");
    }

    private void ReadAlignment(GgufCursor cursor)
    {
        if (!_metadata.TryGetValue(AlignmentKey, out object? value)) return;
        Alignment = value is uint and >= 8 and <= LargestAlignment and uint alignment && BitOperations.IsPow2(alignment)
            ? alignment
            : throw cursor.Problem(cursor.Position, $"key '{AlignmentKey}' must be a uint32 that is a power of two from 8 to {LargestAlignment}, but is {(value is Array ? "a list" : $"{value}")}.");
    }

    private long ReadTensor(GgufCursor cursor, ulong number, HashSet<string> names, long expected, long length)
    {
        long place = cursor.Position;
        string name = cursor.Text($"the name of tensor {number}", LongestName);
        if (name.Length == 0) throw cursor.Problem(place, $"the name of tensor {number} is empty.");
        string what = $"tensor {GgufCursor.Quote(name)}";
        if (!names.Add(name)) throw cursor.Problem(place, $"{what} appears twice.");
        place = cursor.Position;
        uint dimensions = cursor.UInt32($"the number of dimensions of {what}");
        if (dimensions is 0 or > MostDimensions) throw cursor.Problem(place, $"{what} has {dimensions} dimensions; 1 to {MostDimensions} are allowed.");
        var shape = new long[dimensions];
        Int128 elements = 1;
        for (int i = 0; i < dimensions; i++)
        {
            place = cursor.Position;
            ulong size = cursor.UInt64($"the shape of {what}");
            elements *= size;
            // Numbers of half a byte are the smallest that there are.
            if (size == 0 || elements > 8 * (Int128)length) throw cursor.Problem(place, $"{what} has a dimension of {size}, {(size == 0 ? "which must be at least 1" : $"for which a file of {length} bytes has no room")}.");
            shape[dimensions - 1 - i] = (long)size;
        }
        place = cursor.Position;
        var type = (GgufType)cursor.UInt32($"the type of {what}");
        if (!GgufTypeExtensions.IsKnown(type)) throw cursor.Problem(place, $"{what} has the type {(uint)type}, which is not known.");
        if (shape[^1] % type.BlockLength() != 0) throw cursor.Problem(place, $"{what} is {type.ToFileName()}, whose rows hold a multiple of {type.BlockLength()} numbers, but its rows hold {shape[^1]}.");
        place = cursor.Position;
        ulong offset = cursor.UInt64($"the offset of {what}");
        if (offset != (ulong)expected) throw cursor.Problem(place, $"{what} begins at {offset} of the data, but the tensors before it end at {expected}.");
        long bytes = (long)(elements / type.BlockLength() * type.BlockBytes());
        // Before sums of such claims leave 64 bits.
        if (bytes > length - expected) throw cursor.Problem(place, $"{what} takes {bytes} bytes from {expected} of the data on, but the whole file has {length}: it is cut off.");
        _entries.Add(new GgufEntry(name, type, ImmutableArray.Create(shape), expected, bytes));
        return Padded(expected + bytes, Alignment);
    }

    // Some writers leave out the padding behind the last tensor.
    private void CheckEnd(GgufCursor cursor, long length)
    {
        long needed = _entries.Count == 0 ? cursor.Position : DataStart + _entries[^1].Offset + _entries[^1].ByteCount;
        if (needed > length) throw cursor.Problem(length, $"the tensors reach to byte {needed}, but the file ends before: it is cut off.");
        long last = Padded(needed, Alignment);
        if (length > last) throw cursor.Problem(last, $"{length - last} bytes behind the last tensor belong to none.");
    }
}
