using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.IO.MemoryMappedFiles;

namespace Lora.Serialization;

/// <summary>One safetensors file, mapped into memory: opening it reads the header only, however large the file is.</summary>
/// <remarks>The file must not be cut short while it is open; replacing it by renaming another onto it is safe.</remarks>
public sealed unsafe class SafetensorsFile : SafetensorsSource
{
    private readonly MemoryMappedFile _mapping;
    private readonly MemoryMappedViewAccessor _view;
    private readonly SafetensorsHeader _header;
    private readonly SafetensorsEntry[] _entries;
    private byte* _data;

    private SafetensorsFile(string path, MemoryMappedFile mapping, MemoryMappedViewAccessor view, byte* start, long length)
        : base(path)
    {
        _mapping = mapping;
        _view = view;
        long headerLength = ReadHeaderLength(path, new ReadOnlySpan<byte>(start, SafetensorsHeader.LengthBytes), length);
        _data = start + SafetensorsHeader.LengthBytes + headerLength;
        _header = SafetensorsHeader.Parse(
            path, new ReadOnlySpan<byte>(start + SafetensorsHeader.LengthBytes, (int)headerLength), length - SafetensorsHeader.LengthBytes - headerLength);
        _entries = [.. _header.Entries.Values.OrderBy(entry => entry.Begin).ThenBy(entry => entry.End)];
    }

    /// <inheritdoc/>
    public override IReadOnlyCollection<SafetensorsEntry> Entries => _entries;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The opened file; dispose it when done.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">The file breaks the format's rules; every offence is listed.</exception>
    public static new SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
        long length = stream.Length;
        if (length < SafetensorsHeader.LengthBytes)
        {
            throw new AdapterFormatException(path, $"the file has {length} bytes; a safetensors file begins with {SafetensorsHeader.LengthBytes} that give the length of its header.");
        }

        var mapping = MemoryMappedFile.CreateFromFile(stream, mapName: null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        MemoryMappedViewAccessor? view = null;
        byte* start = null;
        SafetensorsFile? file = null;
        try
        {
            view = mapping.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            return file = new SafetensorsFile(path, mapping, view, start + view.PointerOffset, length);
        }
        finally
        {
            if (file is null)
            {
                Release(mapping, view, start);
            }
        }
    }

    /// <inheritdoc/>
    public override bool TryGetEntry(string name, [NotNullWhen(true)] out SafetensorsEntry? entry) => _header.Entries.TryGetValue(name, out entry);

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> GetBytes(string name, long start, int count)
    {
        ObjectDisposedException.ThrowIf(_data is null, this);
        if (!TryGetEntry(name, out SafetensorsEntry? entry))
        {
            throw new KeyNotFoundException($"{Path} holds no tensor '{name}'.");
        }

        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, entry.ByteCount - start);
        return new ReadOnlySpan<byte>(_data + entry.Begin + start, count);
    }

    private protected override void Dispose(bool disposing)
    {
        if (_data is not null)
        {
            Release(_mapping, _view, _data);
            _data = null;
        }
    }

    private static void Release(MemoryMappedFile mapping, MemoryMappedViewAccessor? view, byte* acquired)
    {
        if (acquired is not null)
        {
            view!.SafeMemoryMappedViewHandle.ReleasePointer();
        }

        view?.Dispose();
        mapping.Dispose();
    }

    private static long ReadHeaderLength(string path, ReadOnlySpan<byte> bytes, long fileLength)
    {
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        if (length > (ulong)SafetensorsHeader.MaximumLength)
        {
            throw new AdapterFormatException(path, $"the header claims {length} bytes; the format allows {SafetensorsHeader.MaximumLength}.");
        }

        if ((long)length > fileLength - SafetensorsHeader.LengthBytes)
        {
            throw new AdapterFormatException(path, $"the header claims {length} bytes, but only {fileLength - SafetensorsHeader.LengthBytes} follow: the file is cut off.");
        }

        return (long)length;
    }
}
