using System.Numerics;
using System.Runtime.InteropServices;

namespace Lora.Serialization;

/// <summary>Looks for NaN and infinity in the bytes of a file, without a tensor for them.</summary>
internal static class FiniteNumbers
{
    private const int PieceBytes = 1 << 20;

    /// <summary>Whether all numbers of a floating-point tensor are finite.</summary>
    internal static bool Are(SafetensorsSource source, SafetensorsEntry entry)
    {
        for (long start = 0; start < entry.ByteCount; start += PieceBytes)
        {
            ReadOnlySpan<byte> bytes = source.GetBytes(entry.Name, start, (int)Math.Min(PieceBytes, entry.ByteCount - start));
            bool finite = entry.Type switch
            {
                SafetensorsType.F16 => Are<ushort>(bytes, 0x7C00),
                SafetensorsType.BF16 => Are<ushort>(bytes, 0x7F80),
                SafetensorsType.F32 => Are<uint>(bytes, 0x7F80_0000),
                SafetensorsType.F64 => Are<ulong>(bytes, 0x7FF0_0000_0000_0000),
                _ => throw new ArgumentOutOfRangeException(nameof(entry), entry.Type, "Only floating-point numbers can be looked through."),
            };
            if (!finite) return false;
        }
        return true;
    }

    // Of what is not finite, all bits of the exponent are set.
    private static bool Are<T>(ReadOnlySpan<byte> bytes, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        foreach (T number in MemoryMarshal.Cast<byte, T>(bytes))
            if ((number & exponent) == exponent) return false;
        return true;
    }
}
