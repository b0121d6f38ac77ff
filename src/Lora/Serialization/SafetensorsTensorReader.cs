using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>Moves the bytes of a file into tensors, in pieces that a span can hold, so that tensors over 2 GB work.</summary>
internal static class SafetensorsTensorReader
{
    // A multiple of every element's size; large enough for the copy to a device to run at full speed.
    internal const int PieceBytes = 1 << 28;

    internal static Tensor Read(SafetensorsSource source, SafetensorsEntry entry, Device? device, int pieceBytes = PieceBytes)
    {
        ScalarType type = RequireType(source, entry);
        Tensor result = empty([.. entry.Shape], type, device);
        bool complete = false;
        try
        {
            CopyTo(source, entry, result, pieceBytes);
            complete = true;
        }
        finally
        {
            if (!complete)
            {
                result.Dispose();
            }
        }

        return result;
    }

    internal static void CopyTo(SafetensorsSource source, SafetensorsEntry entry, Tensor destination, int pieceBytes = PieceBytes)
    {
        ScalarType type = RequireType(source, entry);
        // torch would broadcast without a word.
        if (!destination.shape.AsSpan().SequenceEqual(entry.Shape.AsSpan()))
        {
            throw new ArgumentException(
                $"Tensor '{entry.Name}' of {source.Path} has shape [{string.Join(", ", entry.Shape)}], the destination has [{string.Join(", ", destination.shape)}].", nameof(destination));
        }

        if (entry.ByteCount == 0)
        {
            return;
        }

        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        if (destination.is_contiguous())
        {
            CopyPieces(source, entry, destination.view(-1), type, pieceBytes);
        }
        else
        {
            destination.copy_(Read(source, entry, device: null, pieceBytes));
        }
    }

    private static void CopyPieces(SafetensorsSource source, SafetensorsEntry entry, Tensor flat, ScalarType type, int pieceBytes)
    {
        bool direct = flat.dtype == type && flat.device.type == DeviceType.CPU;
        int elementBytes = entry.Type.BitsPerElement() / 8;
        for (long start = 0; start < entry.ByteCount; start += pieceBytes)
        {
            using DisposeScope scope = NewDisposeScope();
            int count = (int)Math.Min(pieceBytes, entry.ByteCount - start);
            Tensor part = flat.narrow(0, start / elementBytes, count / elementBytes);
            Tensor target = direct ? part : empty([count / elementBytes], type);
            source.GetBytes(entry.Name, start, count).CopyTo(target.bytes);
            if (!direct)
            {
                part.copy_(target);
            }
        }
    }

    private static ScalarType RequireType(SafetensorsSource source, SafetensorsEntry entry) => entry.Type.ToScalarType()
        ?? throw new AdapterFormatException(source.Path, $"tensor '{entry.Name}' is of type {entry.Type.ToFileName()}, which torch does not have here; its bytes can be read with GetBytes.");
}
