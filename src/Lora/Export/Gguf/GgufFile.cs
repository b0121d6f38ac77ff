using System.Diagnostics.CodeAnalysis;
using System.IO.MemoryMappedFiles;
using static TorchSharp.torch;

namespace Lora.Export.Gguf;

/// <summary>
/// A GGUF file of version 2 or 3, little-endian, mapped into memory: opening it reads what stands before the data, however large the file is. What breaks the format's rules is refused; the message
/// names the byte and the key or tensor.
/// </summary>
/// <remarks>The file must not be cut short while it is open; replacing it by renaming another onto it is safe. Reading from several threads is safe.</remarks>
public sealed unsafe class GgufFile : IDisposable
{
    // So many bytes are turned into numbers at a time.
    private const int PieceElements = 1 << 18;

    private readonly MemoryMappedFile _mapping;
    private readonly MemoryMappedViewAccessor _view;
    private readonly GgufHeader _header;
    private readonly Dictionary<string, GgufEntry> _byName;
    private byte* _data;

    private GgufFile(string path, MemoryMappedFile mapping, MemoryMappedViewAccessor view, byte* start, long length)
    {
        Path = path;
        _mapping = mapping;
        _view = view;
        _header = GgufHeader.Parse(path, start, length);
        _byName = _header.Entries.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
        _data = start + _header.DataStart;
    }

    /// <summary>The file that was opened.</summary>
    public string Path { get; }

    /// <summary>The version of the format, 2 or 3.</summary>
    public int Version => (int)_header.Version;

    /// <summary>Each tensor begins at a multiple of so many bytes.</summary>
    public int Alignment => (int)_header.Alignment;

    /// <summary>
    /// The metadata in the order of the file. A value is a <see cref="byte"/>, <see cref="sbyte"/>, <see cref="ushort"/>, <see cref="short"/>, <see cref="uint"/>, <see cref="int"/>,
    /// <see cref="ulong"/>, <see cref="long"/>, <see cref="float"/>, <see cref="double"/>, <see cref="bool"/>, <see cref="string"/>, or an array of one of these.
    /// </summary>
    public IReadOnlyDictionary<string, object> Metadata => _header.Metadata;

    /// <summary>The tensors, in the order of the file.</summary>
    public IReadOnlyList<GgufEntry> Entries => _header.Entries;

    /// <summary>Opens a file and checks everything but its numbers.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The opened file; dispose it when done.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">The file breaks the format's rules.</exception>
    public static GgufFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
        long length = stream.Length;
        if (length < sizeof(uint)) throw new AdapterFormatException(path, $"byte 0: a GGUF file begins with the letters GGUF, but this one has {length} bytes.");
        var mapping = MemoryMappedFile.CreateFromFile(stream, mapName: null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        MemoryMappedViewAccessor? view = null;
        byte* start = null;
        GgufFile? file = null;
        try
        {
            view = mapping.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            return file = new GgufFile(path, mapping, view, start + view.PointerOffset, length);
        }
        finally
        {
            if (file is null) Release(mapping, view, start);
        }
    }

    /// <summary>Looks up a tensor's description.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="entry">Its description, where it exists.</param>
    /// <returns>Whether there is a tensor of that name.</returns>
    public bool TryGetEntry(string name, [NotNullWhen(true)] out GgufEntry? entry) => _byName.TryGetValue(name, out entry);

    /// <summary>Looks at some of the bytes of one tensor.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="start">The first byte, counted from the tensor's own first.</param>
    /// <param name="count">The number of bytes.</param>
    /// <returns>The bytes. They lie in the mapped file: don't use them after it was disposed.</returns>
    /// <exception cref="KeyNotFoundException">There is no tensor of that name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The range reaches beyond the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public ReadOnlySpan<byte> GetBytes(string name, long start, int count)
    {
        ObjectDisposedException.ThrowIf(_data is null, this);
        GgufEntry entry = Entry(name);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, entry.ByteCount - start);
        return new ReadOnlySpan<byte>(_data + entry.Offset + start, count);
    }

    /// <summary>Reads the numbers of one tensor.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <returns>A new float32 tensor on the CPU, in torch's order of dimensions; the caller owns it.</returns>
    /// <exception cref="KeyNotFoundException">There is no tensor of that name.</exception>
    /// <exception cref="NotSupportedException">The numbers of its type cannot be read.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public Tensor ReadTensor(string name)
    {
        GgufEntry entry = Entry(name);
        if (!entry.Type.HasCodec()) throw new NotSupportedException($"Tensor '{name}' of {Path} is {entry.Type.ToFileName()}; numbers can be read of {GgufTypeExtensions.CodecNames}.");
        using var noGrad = no_grad();
        Tensor tensor = empty([.. entry.Shape], ScalarType.Float32);
        using Tensor flat = tensor.view(-1);
        int length = entry.Type.BlockLength(), size = entry.Type.BlockBytes();
        for (long done = 0; done < flat.NumberOfElements; done += PieceElements)
        {
            int count = (int)Math.Min(PieceElements, flat.NumberOfElements - done);
            using Tensor piece = flat.narrow(0, done, count);
            GgufCodec.Decode(GetBytes(name, done / length * size, count / length * size), entry.Type, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(piece.bytes));
        }
        return tensor;
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        if (_data is null) return;
        Release(_mapping, _view, _data);
        _data = null;
    }

    private GgufEntry Entry(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return _byName.TryGetValue(name, out GgufEntry? entry) ? entry : throw new KeyNotFoundException($"{Path} holds no tensor '{name}'.");
    }

    private static void Release(MemoryMappedFile mapping, MemoryMappedViewAccessor? view, byte* acquired)
    {
        if (acquired is not null) view!.SafeMemoryMappedViewHandle.ReleasePointer();
        view?.Dispose();
        mapping.Dispose();
    }
}
