using System.Buffers.Binary;

namespace Lora.Export.Gguf;

/// <summary>
/// Numbers in the types of GGUF: F32, F16 and BF16 (rounded to nearest, ties to even), Q8_0 and Q4_0. Both quantised types store 32 neighbours as a scale d in half precision and integers q,
/// x ≈ d·q: Q8_0 has d = max|x| / 127 and q = round(x / d), ties away from zero; Q4_0 has d = x* / −8, where x* is the number farthest from zero, and q + 8 = ⌊x / d + 8.5⌋, at most 15, in 4 bits each.
/// </summary>
public static class GgufCodec
{
    private const int Block = 32;

    /// <summary>Writes numbers in a type.</summary>
    /// <param name="values">The numbers, whole blocks of the type.</param>
    /// <param name="type">F32, F16, BF16, Q8_0 or Q4_0.</param>
    /// <param name="destination">Receives the bytes, exactly as many as there are.</param>
    /// <exception cref="ArgumentException">The lengths do not fit the type, the type has no codec here, or a number is an infinity, a NaN or too large for the type.</exception>
    public static void Encode(ReadOnlySpan<float> values, GgufType type, Span<byte> destination)
    {
        CheckLengths(values.Length, type, destination.Length);
        if (!TryEncode(values, type, destination)) throw new ArgumentException($"A number is an infinity, a NaN, or too large for {type.ToFileName()}.", nameof(values));
    }

    /// <summary>Reads numbers of a type.</summary>
    /// <param name="bytes">Whole blocks of the type.</param>
    /// <param name="type">F32, F16, BF16, Q8_0 or Q4_0.</param>
    /// <param name="destination">Receives the numbers, exactly as many as there are.</param>
    /// <exception cref="ArgumentException">The lengths do not fit the type, or the type has no codec here.</exception>
    public static void Decode(ReadOnlySpan<byte> bytes, GgufType type, Span<float> destination)
    {
        CheckLengths(destination.Length, type, bytes.Length);
        switch (type)
        {
            case GgufType.F32:
                for (int i = 0; i < destination.Length; i++) destination[i] = BinaryPrimitives.ReadSingleLittleEndian(bytes[(i * 4)..]);
                break;
            case GgufType.F16:
                for (int i = 0; i < destination.Length; i++) destination[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(bytes[(i * 2)..]);
                break;
            case GgufType.BF16:
                for (int i = 0; i < destination.Length; i++) destination[i] = BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(bytes[(i * 2)..]) << 16);
                break;
            default:
                int size = type.BlockBytes();
                for (int block = 0; block < destination.Length / Block; block++) DecodeBlock(bytes.Slice(block * size, size), type, destination.Slice(block * Block, Block));
                break;
        }
    }

    /// <summary>Writes numbers in a type, where they have a place in it.</summary>
    internal static bool TryEncode(ReadOnlySpan<float> values, GgufType type, Span<byte> destination)
    {
        bool fits = true;
        switch (type)
        {
            case GgufType.F32:
                for (int i = 0; i < values.Length; i++)
                {
                    fits &= float.IsFinite(values[i]);
                    BinaryPrimitives.WriteSingleLittleEndian(destination[(i * 4)..], values[i]);
                }
                break;
            case GgufType.F16:
                for (int i = 0; i < values.Length; i++)
                {
                    Half half = (Half)values[i];
                    fits &= Half.IsFinite(half);
                    BinaryPrimitives.WriteHalfLittleEndian(destination[(i * 2)..], half);
                }
                break;
            case GgufType.BF16:
                for (int i = 0; i < values.Length; i++)
                {
                    uint bits = BitConverter.SingleToUInt32Bits(values[i]);
                    // A NaN that carried over would become an infinity of the other sign, which is caught as well.
                    uint rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
                    fits &= float.IsFinite(values[i]) && (rounded & 0x7F80) != 0x7F80;
                    BinaryPrimitives.WriteUInt16LittleEndian(destination[(i * 2)..], (ushort)rounded);
                }
                break;
            default:
                int size = type.BlockBytes();
                for (int block = 0; block < values.Length / Block; block++)
                    fits &= type == GgufType.Q80 ? EncodeQ80(values.Slice(block * Block, Block), destination.Slice(block * size, size)) : EncodeQ40(values.Slice(block * Block, Block), destination.Slice(block * size, size));
                break;
        }
        return fits;
    }

    private static bool EncodeQ80(ReadOnlySpan<float> x, Span<byte> block)
    {
        float largest = 0;
        bool fits = true;
        foreach (float value in x)
        {
            fits &= float.IsFinite(value);
            largest = Math.Max(largest, Math.Abs(value));
        }
        float scale = largest / 127, inverse = Inverse(scale);
        fits &= WriteScale(block, scale);
        for (int i = 0; i < Block; i++) block[2 + i] = fits ? (byte)(sbyte)MathF.Round(x[i] * inverse, MidpointRounding.AwayFromZero) : (byte)0;
        return fits;
    }

    private static bool EncodeQ40(ReadOnlySpan<float> x, Span<byte> block)
    {
        float extreme = 0;
        bool fits = true;
        foreach (float value in x)
        {
            fits &= float.IsFinite(value);
            if (Math.Abs(value) > Math.Abs(extreme)) extreme = value;
        }
        float scale = extreme / -8, inverse = Inverse(scale);
        fits &= WriteScale(block, scale);
        for (int i = 0; i < Block / 2; i++) block[2 + i] = fits ? (byte)(Quarter(x[i], inverse) | (Quarter(x[i + Block / 2], inverse) << 4)) : (byte)0;
        return fits;
    }

    // In single precision the result would depend on whether the compiler fuses the product and the sum; so it does not.
    private static int Quarter(float x, float inverse) => Math.Min(15, (int)((double)x * inverse + 8.5));

    // The inverse of a scale near the smallest numbers is an infinity, which nothing may be multiplied with.
    private static float Inverse(float scale) => scale == 0 || !float.IsFinite(1 / scale) ? 0 : 1 / scale;

    private static bool WriteScale(Span<byte> block, float scale)
    {
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)scale);
        return Half.IsFinite((Half)scale);
    }

    private static void DecodeBlock(ReadOnlySpan<byte> block, GgufType type, Span<float> destination)
    {
        float scale = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        if (type == GgufType.Q80)
        {
            for (int i = 0; i < Block; i++) destination[i] = (sbyte)block[2 + i] * scale;
            return;
        }
        for (int i = 0; i < Block / 2; i++)
        {
            destination[i] = ((block[2 + i] & 15) - 8) * scale;
            destination[i + Block / 2] = ((block[2 + i] >> 4) - 8) * scale;
        }
    }

    private static void CheckLengths(int values, GgufType type, int bytes)
    {
        if (!type.HasCodec()) throw new ArgumentException($"Numbers can be read and written in {GgufTypeExtensions.CodecNames}, but not in {(GgufTypeExtensions.IsKnown(type) ? type.ToFileName() : $"the type {(int)type}")}.", nameof(type));
        int length = type.BlockLength();
        if (values % length != 0 || values / length * (long)type.BlockBytes() != bytes) throw new ArgumentException($"{values} numbers and {bytes} bytes are not the same whole blocks of {type.ToFileName()}, which hold {length} numbers in {type.BlockBytes()} bytes.");
    }
}
