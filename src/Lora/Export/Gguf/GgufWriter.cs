using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Export.Gguf;

/// <summary>
/// Writes a GGUF file of version 3: metadata, a table of tensors, and their numbers, each tensor at a multiple of the alignment. Numbers are encoded while they are written, some at a time.
/// </summary>
public sealed class GgufWriter
{
    // So many numbers are converted at a time.
    private const int PieceElements = 1 << 18;

    private readonly OrderedDictionary<string, object> _metadata = new(StringComparer.Ordinal);
    private readonly OrderedDictionary<string, Planned> _tensors = new(StringComparer.Ordinal);
    private readonly int _alignment;

    /// <summary>Begins a file.</summary>
    /// <param name="alignment">Each tensor begins at a multiple of so many bytes: a power of two, at least 8. Default: 32.</param>
    /// <exception cref="ArgumentOutOfRangeException">The alignment is no such number.</exception>
    public GgufWriter(int alignment = GgufHeader.DefaultAlignment)
    {
        if (alignment < 8 || !BitOperations.IsPow2(alignment)) throw new ArgumentOutOfRangeException(nameof(alignment), alignment, "The alignment must be a power of two and at least 8.");
        _alignment = alignment;
        if (alignment != GgufHeader.DefaultAlignment) _metadata.Add(GgufHeader.AlignmentKey, (uint)alignment);
    }

    /// <summary>Adds a pair of metadata.</summary>
    /// <param name="key">The key, such as <c>general.name</c>, up to 65535 bytes.</param>
    /// <param name="value">A number of 8 to 64 bits, a truth value, a text, or an array of one of these. Its .NET type decides about the type in the file.</param>
    /// <exception cref="ArgumentException">The key is empty, too long or there already, or the value is of another type.</exception>
    public void Add(string key, object value)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        ArgumentNullException.ThrowIfNull(value);
        if (Encoding.UTF8.GetByteCount(key) > GgufHeader.LongestKey) throw new ArgumentException($"The key has {Encoding.UTF8.GetByteCount(key)} bytes; {GgufHeader.LongestKey} are allowed.", nameof(key));
        if (key == GgufHeader.AlignmentKey) throw new ArgumentException($"'{key}' is set by the constructor.", nameof(key));
        if (!GgufValues.IsSupported(value)) throw new ArgumentException($"'{key}' is a {value.GetType().Name}; a value may be one of {GgufValues.TypeNames}.", nameof(value));
        if (!_metadata.TryAdd(key, value)) throw new ArgumentException($"The key '{key}' is there already.", nameof(key));
    }

    /// <summary>Adds a tensor. It is read when the file is written, and must live until then.</summary>
    /// <param name="name">Its name, up to 63 bytes.</param>
    /// <param name="tensor">One to four dimensions, floating point, of any device and strides. It is not changed.</param>
    /// <param name="type">The type in the file: F32, F16, BF16, Q8_0 or Q4_0. Rows of the last two hold a multiple of 32 numbers. Default: F32.</param>
    /// <exception cref="ArgumentException">The name is empty, too long or there already, or the shape or a type does not fit.</exception>
    public void AddTensor(string name, Tensor tensor, GgufType type = GgufType.F32)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (!tensor.is_floating_point()) throw new ArgumentException($"Tensor '{name}' is {tensor.dtype}, but a floating-point type is needed.", nameof(tensor));
        AddTensor(name, tensor.shape, type, emit => Emit(tensor, emit));
    }

    /// <summary>Adds a tensor whose numbers are asked for when they are written.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">Its shape in torch's order.</param>
    /// <param name="type">The type in the file.</param>
    /// <param name="write">Passes on the numbers in order, in pieces of any length.</param>
    internal void AddTensor(string name, IReadOnlyList<long> shape, GgufType type, Action<NumberSink> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (Encoding.UTF8.GetByteCount(name) >= GgufHeader.LongestName) throw new ArgumentException($"The name '{name}' has {Encoding.UTF8.GetByteCount(name)} bytes; {GgufHeader.LongestName - 1} are allowed.", nameof(name));
        if (shape.Count is 0 or > GgufHeader.MostDimensions || shape.Any(size => size < 1)) throw new ArgumentException($"Tensor '{name}' has the shape [{string.Join(", ", shape)}]; 1 to {GgufHeader.MostDimensions} dimensions of at least 1 are allowed.", nameof(shape));
        if (!type.HasCodec()) throw new ArgumentException($"Tensor '{name}' cannot be written as {(GgufTypeExtensions.IsKnown(type) ? type.ToFileName() : $"type {(int)type}")}; {GgufTypeExtensions.CodecNames} are supported.", nameof(type));
        if (shape[^1] % type.BlockLength() != 0) throw new ArgumentException($"Tensor '{name}' cannot be written as {type.ToFileName()}, whose rows hold a multiple of {type.BlockLength()} numbers: its rows hold {shape[^1]}.", nameof(type));
        if (!_tensors.TryAdd(name, new Planned(name, [.. shape], type, write))) throw new ArgumentException($"The tensor '{name}' is there already.", nameof(name));
    }

    /// <summary>Writes the file. It appears under its name when it is complete; until then a file of that name stays as it was.</summary>
    /// <param name="path">The file to write or replace.</param>
    /// <param name="progress">Told after each tensor, on the calling thread.</param>
    /// <param name="cancellationToken">Looked at before each tensor. Nothing stays of a file that was not finished.</param>
    /// <exception cref="IOException">The file could not be written; one that was there before is unchanged.</exception>
    /// <exception cref="InvalidOperationException">A number is an infinity, a NaN, or too large for its type.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Save(string path, IProgress<GgufProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        AtomicFile.Write(path, stream => Write(stream, progress, cancellationToken));
    }

    private void Write(Stream stream, IProgress<GgufProgress>? progress, CancellationToken cancellationToken)
    {
        long position = WriteHead(stream);
        WritePadding(stream, position);
        long total = _tensors.Values.Sum(tensor => tensor.ByteCount), bytesDone = 0;
        int done = 0;
        foreach (Planned tensor in _tensors.Values)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var encoder = new GgufEncoder(stream, tensor.Type);
            tensor.Write(encoder.Append);
            if (encoder.Count != tensor.Elements) throw new InvalidOperationException($"Tensor '{tensor.Name}' has {tensor.Elements} numbers, but {encoder.Count} were given.");
            encoder.Flush();
            if (!encoder.Fits) throw new InvalidOperationException($"Tensor '{tensor.Name}' cannot be written as {tensor.Type.ToFileName()}: it holds an infinity, a NaN, or a number that is too large for that type.");
            WritePadding(stream, tensor.ByteCount);
            bytesDone += tensor.ByteCount;
            progress?.Report(new GgufProgress(tensor.Name, ++done, _tensors.Count, bytesDone, total));
        }
    }

    private long WriteHead(Stream stream)
    {
        using var memory = new MemoryStream();
        using var writer = new BinaryWriter(memory);
        writer.Write(GgufHeader.Magic);
        writer.Write(GgufHeader.LatestVersion);
        writer.Write((ulong)_tensors.Count);
        writer.Write((ulong)_metadata.Count);
        foreach ((string key, object value) in _metadata)
        {
            GgufValues.WriteText(writer, key);
            GgufValues.Write(writer, value);
        }
        long offset = 0;
        foreach (Planned tensor in _tensors.Values)
        {
            GgufValues.WriteText(writer, tensor.Name);
            writer.Write((uint)tensor.Shape.Length);
            foreach (long size in tensor.Shape.Reverse()) writer.Write((ulong)size);
            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset = GgufHeader.Padded(offset + tensor.ByteCount, _alignment);
        }
        writer.Flush();
        memory.WriteTo(stream);
        return memory.Length;
    }

    private void WritePadding(Stream stream, long position) => stream.Write(new byte[(int)(GgufHeader.Padded(position, _alignment) - position)]);

    private static void Emit(Tensor tensor, NumberSink emit)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor flat = tensor.detach().reshape(-1);
        for (long start = 0; start < flat.NumberOfElements; start += PieceElements)
        {
            using var inner = NewDisposeScope();
            Tensor piece = flat.narrow(0, start, Math.Min(PieceElements, flat.NumberOfElements - start)).cpu().to(ScalarType.Float32).contiguous();
            emit(MemoryMarshal.Cast<byte, float>(piece.bytes));
        }
    }

    /// <summary>Takes numbers.</summary>
    internal delegate void NumberSink(ReadOnlySpan<float> numbers);

    private sealed record Planned(string Name, long[] Shape, GgufType Type, Action<NumberSink> Write)
    {
        internal long Elements => Shape.Aggregate(1L, (product, size) => checked(product * size));

        internal long ByteCount => Elements / Type.BlockLength() * Type.BlockBytes();
    }
}
