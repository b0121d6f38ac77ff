using System.Buffers.Binary;

namespace Lora.Fuzzing.Mutation;

/// <summary>Damages bytes without regard to what they mean.</summary>
internal static class ByteMutator
{
    // One input in so many grows by much, which shows costs that grow faster than the file.
    private const int SeldomLarge = 2000;

    /// <param name="seed">What is damaged; it stays as it is.</param>
    /// <param name="other">What pieces may be taken from.</param>
    /// <param name="random">Decides.</param>
    internal static byte[] Mutate(ReadOnlySpan<byte> seed, ReadOnlySpan<byte> other, FuzzRandom random)
    {
        byte[] bytes = seed.ToArray();
        for (int count = random.Small(16); count > 0; count--) bytes = Once(bytes, other, random);
        return bytes;
    }

    private static byte[] Once(byte[] bytes, ReadOnlySpan<byte> other, FuzzRandom random)
    {
        int place = random.Next(bytes.Length + 1), length = Math.Min(random.Small(64), bytes.Length - place);
        switch (random.Next(14))
        {
            case 0 or 1 when place < bytes.Length:
                bytes[place] ^= (byte)(1 << random.Next(8));
                return bytes;
            case 2 when place < bytes.Length:
                bytes[place] = (byte)random.NextBits();
                return bytes;
            case 3:
                return bytes[..place];
            case 4:
                return Replace(bytes, place, length, []);
            case 5:
                return Replace(bytes, place, 0, bytes.AsSpan(place, length));
            case 6:
                return Replace(bytes, place, random.OneIn(2) ? 0 : length, random.Pick(Extremes.Pieces));
            case 7:
                return Replace(bytes, place, 0, random.Pick(Extremes.Invalid));
            case 8:
                return Number(bytes, place, random);
            case 9 when place < bytes.Length:
                return Digits(bytes, place, random);
            case 10 when other.Length > 0:
                int start = random.Next(other.Length);
                return Replace(bytes, place, random.OneIn(2) ? 0 : length, other.Slice(start, Math.Min(random.Small(256), other.Length - start)));
            case 11 when other.Length > 0:
                return Replace(bytes, place, bytes.Length - place, other[random.Next(other.Length)..]);
            case 12 when length > 0:
                int times = random.OneIn(SeldomLarge) ? Math.Min(1 << 16, (1 << 19) / length) : random.Small(32);
                byte[] many = new byte[length * times];
                for (int i = 0; i < times; i++) bytes.AsSpan(place, length).CopyTo(many.AsSpan(i * length));
                return Replace(bytes, place, 0, many);
            default:
                int second = random.Next(bytes.Length);
                if (place < bytes.Length) (bytes[place], bytes[second]) = (bytes[second], bytes[place]);
                return bytes;
        }
    }

    internal static byte[] Replace(byte[] bytes, int place, int length, ReadOnlySpan<byte> with)
    {
        byte[] result = new byte[bytes.Length - length + with.Length];
        bytes.AsSpan(0, place).CopyTo(result);
        with.CopyTo(result.AsSpan(place));
        bytes.AsSpan(place + length).CopyTo(result.AsSpan(place + with.Length));
        return result;
    }

    private static byte[] Number(byte[] bytes, int place, FuzzRandom random)
    {
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(number, random.Pick(Extremes.Numbers));
        int width = 1 << random.Next(4);
        place = Math.Min(random.OneIn(3) ? random.Next(4) * 8 : place, bytes.Length);
        number[..Math.Min(width, bytes.Length - place)].CopyTo(bytes.AsSpan(place));
        return bytes;
    }

    // The number written at or behind a place, in decimal digits.
    private static byte[] Digits(byte[] bytes, int place, FuzzRandom random)
    {
        int found = bytes.AsSpan(place).IndexOfAnyInRange((byte)'0', (byte)'9');
        if (found < 0) return bytes;
        int start = place + found, count = bytes.AsSpan(start).IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        return Replace(bytes, start, count < 0 ? bytes.Length - start : count, random.Pick(Extremes.Leaves));
    }
}
