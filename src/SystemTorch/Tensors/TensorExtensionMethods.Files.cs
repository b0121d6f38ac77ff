using TorchSharp.Interop;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>TorchSharp's format of a tensor: element type, number of dimensions, sizes, and the elements as they lie in memory.</summary>
public static partial class TensorExtensionMethods
{
    private const int MostDimensions = 64; // libtorch's own limit for what it computes

    public static void Save(this Tensor tensor, BinaryWriter writer)
    {
        writer.Encode((int)tensor.dtype);
        long[] shape = tensor.shape;
        writer.Encode(shape.Length);
        foreach (long size in shape) writer.Encode(size);
        writer.Flush();
        tensor.WriteBytesToStream(writer.BaseStream);
    }

    /// <summary>Closes the stream, as the package does.</summary>
    public static void Save(this Tensor tensor, Stream stream)
    {
        using var writer = new BinaryWriter(stream);
        tensor.Save(writer);
    }

    public static void Save(this Tensor tensor, string location)
    {
        using FileStream stream = File.Create(location);
        tensor.Save(stream);
    }

    /// <summary>Reads a new tensor; with <paramref name="skip"/> passes over it and gives null.</summary>
    public static Tensor Load(BinaryReader reader, bool skip = false)
    {
        Tensor tensor = null;
        Load(ref tensor, reader, skip);
        return tensor;
    }

    public static void Load(this Tensor tensor, BinaryReader reader, bool skip = false) => Load(ref tensor, reader, skip);

    /// <summary>Reads into a tensor of the same type and shape, or into a new one where <paramref name="tensor"/> is null.</summary>
    public static void Load(ref Tensor tensor, BinaryReader reader, bool skip = false)
    {
        long code = reader.Decode(), dimensions = reader.Decode();
        if (code > sbyte.MaxValue || !Enum.IsDefined((ScalarType)code)) throw new InvalidDataException($"The file is no tensor: there is no element type {code}.");
        if (dimensions > MostDimensions) throw new InvalidDataException($"The file is no tensor: it would have {dimensions} dimensions.");
        var type = (ScalarType)code;
        var shape = new long[dimensions];
        for (int i = 0; i < shape.Length; i++) shape[i] = reader.Decode();

        if (skip)
        {
            PassOver(reader.BaseStream, shape.Aggregate(ElementBytes(type), (a, b) => a * b));
            return;
        }
        if (tensor is not null && tensor.dtype != type) throw Mismatch("tensor data types");
        if (tensor is not null && !shape.AsSpan().SequenceEqual(tensor.shape)) throw Mismatch("tensor shape");
        tensor ??= Ops.Tensor("empty.memory_format", shape, type);
        tensor.ReadBytesFromStream(reader.BaseStream);

        static ArgumentException Mismatch(string what) =>
            new($"Mismatched {what} while loading. Make sure that the model you are loading into is exactly the same as the origin.");
    }

    private static long ElementBytes(ScalarType type)
    {
        using Tensor empty = Ops.Tensor("empty.memory_format", new long[] { 0 }, type);
        return empty.element_size();
    }

    private static void PassOver(Stream stream, long count)
    {
        if (stream.CanSeek)
        {
            stream.Seek(count, SeekOrigin.Current);
            return;
        }
        var buffer = new byte[Math.Min(count, 1 << 16)];
        for (long left = count; left > 0; left -= Math.Min(left, buffer.Length)) stream.ReadExactly(buffer, 0, (int)Math.Min(left, buffer.Length));
    }
}
