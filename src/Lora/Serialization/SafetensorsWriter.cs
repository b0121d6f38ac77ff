using System.Buffers.Binary;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>
/// Writes safetensors files with the very bytes that the reference implementation writes: larger element types first, then by name,
/// the header padded with spaces to a multiple of 8.
/// </summary>
public static class SafetensorsWriter
{
    internal static IReadOnlyDictionary<string, string> TorchMetadata { get; } = new Dictionary<string, string> { ["format"] = "pt" };

    /// <summary>Writes tensors to a file. It appears under its name only when it is complete; until then a file of that name stays as it was.</summary>
    /// <param name="path">The file to write or replace.</param>
    /// <param name="tensors">The tensors by name, of any device and strides, in any order. They are not changed.</param>
    /// <param name="metadata">Remarks to put into the header. Where null, <c>format: pt</c>, which Python's readers for torch ask for.</param>
    /// <exception cref="ArgumentException">A name comes twice or is reserved, or a tensor's type has no place in the format.</exception>
    /// <exception cref="IOException">The file could not be written; one that was there before is unchanged.</exception>
    public static void Save(string path, IEnumerable<KeyValuePair<string, Tensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafetensorsLayout layout = SafetensorsLayout.Of(tensors);
        AtomicFile.Write(path, stream => Write(stream, layout, metadata ?? TorchMetadata));
    }

    /// <summary>Writes tensors to a stream, in the format of a file.</summary>
    /// <param name="stream">A writable stream; it stays open.</param>
    /// <param name="tensors">The tensors by name, of any device and strides, in any order. They are not changed.</param>
    /// <param name="metadata">Remarks to put into the header. Where null, <c>format: pt</c>, which Python's readers for torch ask for.</param>
    /// <exception cref="ArgumentException">A name comes twice or is reserved, or a tensor's type has no place in the format.</exception>
    public static void Write(Stream stream, IEnumerable<KeyValuePair<string, Tensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        Write(stream, SafetensorsLayout.Of(tensors), metadata ?? TorchMetadata);
    }

    internal static void Write(Stream stream, SafetensorsLayout layout, IReadOnlyDictionary<string, string> metadata)
    {
        byte[] header = layout.Header(metadata);
        Span<byte> length = stackalloc byte[SafetensorsHeader.LengthBytes];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        stream.Write(length);
        stream.Write(header);
        using IDisposable noGradient = no_grad();
        foreach ((SafetensorsEntry _, Tensor tensor) in layout.Tensors)
        {
            WriteData(stream, tensor);
        }
    }

    private static void WriteData(Stream stream, Tensor tensor)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor flat = tensor.detach().cpu().contiguous().view(-1);
        long piece = SafetensorsTensorReader.PieceBytes / flat.ElementSize;
        for (long start = 0; start < flat.NumberOfElements; start += piece)
        {
            using Tensor part = flat.narrow(0, start, Math.Min(piece, flat.NumberOfElements - start));
            stream.Write(part.bytes);
        }
    }
}
