using Lora.Export.Gguf;

namespace Lora.Tests.Export.Gguf;

/// <summary>The types of numbers, bit for bit.</summary>
public sealed class GgufCodecTests
{
    // The scale is 12.7 / 127 = 0.1, in half precision 0x2E66; halves go away from zero.
    [Fact]
    public void Q80_rounds_to_the_nearest_step()
    {
        var numbers = new float[32];
        (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[31]) = (12.7f, -12.7f, 0.04f, 0.06f, -0.26f, 1);
        byte[] bytes = Encoded(numbers, GgufType.Q80, 34);
        Assert.Equal([0x66, 0x2E, 127, 129, 0, 1, 0xFD], bytes[..7]);
        Assert.Equal(10, bytes[33]);
        float scale = (float)BitConverter.UInt16BitsToHalf(0x2E66);
        float[] decoded = Decoded(bytes, GgufType.Q80, 32);
        Assert.Equal([127 * scale, -127 * scale, 0, scale, -3 * scale], decoded[..5]);
    }

    [Fact]
    public void Q80_breaks_ties_away_from_zero()
    {
        var numbers = new float[32];
        (numbers[0], numbers[1], numbers[2], numbers[3]) = (127, 0.5f, -0.5f, 2.5f);
        Assert.Equal([127, 1, 255, 3], Encoded(numbers, GgufType.Q80, 34)[2..6]);
    }

    // The extreme −4 makes the scale 0.5 (0x3800): the first half goes into the low bits, the second into the high ones.
    [Fact]
    public void Q40_has_eight_steps_towards_the_extreme()
    {
        var numbers = new float[32];
        (numbers[0], numbers[1], numbers[2], numbers[3], numbers[16], numbers[17]) = (-4, 4, 0.24f, 0.26f, -3.5f, 3.5f);
        byte[] bytes = Encoded(numbers, GgufType.Q40, 18);
        Assert.Equal([0x00, 0x38, 0 | (1 << 4), 15 | (15 << 4), 8 | (8 << 4), 9 | (8 << 4)], bytes[..6]);
        Assert.Equal([-4, 3.5f, 0, 0.5f], Decoded(bytes, GgufType.Q40, 32)[..4]);
        Assert.Equal([-3.5f, 3.5f, 0], Decoded(bytes, GgufType.Q40, 32)[16..19]);
    }

    // Of two that are as far from zero the first decides; a positive extreme makes a negative scale.
    [Theory]
    [InlineData(4f, -4f, 0xB8, 0, 15)]
    [InlineData(-4f, 4f, 0x38, 0, 15)]
    public void Q40_takes_the_first_extreme(float first, float second, byte sign, int low, int high)
    {
        var numbers = new float[32];
        (numbers[0], numbers[16]) = (first, second);
        byte[] bytes = Encoded(numbers, GgufType.Q40, 18);
        Assert.Equal([0x00, sign, (byte)(low | (high << 4))], bytes[..3]);
    }

    [Theory]
    [InlineData(GgufType.Q80, 34, 0)]
    [InlineData(GgufType.Q40, 18, 0x88)]
    public void Zeros_stay_zeros(GgufType type, int size, byte stored)
    {
        byte[] bytes = Encoded(new float[32], type, size);
        Assert.All(bytes[2..], value => Assert.Equal(stored, value));
        Assert.All(Decoded(bytes, type, 32), value => Assert.Equal(0, value));
        // So small that the scale's inverse is an infinity.
        Assert.All(Decoded(Encoded([.. Enumerable.Repeat(1e-44f, 32)], type, size), type, 32), value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(0x3F808000u, 0x3F80)] // ties to even,
    [InlineData(0x3F818000u, 0x3F82)]
    [InlineData(0x3F808001u, 0x3F81)]
    [InlineData(0x3F807FFFu, 0x3F80)]
    [InlineData(0x80000001u, 0x8000)] // and the sign stays.
    public void BF16_rounds_to_nearest(uint number, ushort expected) =>
        Assert.Equal(BitConverter.GetBytes(expected), Encoded([BitConverter.UInt32BitsToSingle(number)], GgufType.BF16, 2));

    // Numbers that are steps of the type come back as they were.
    [Theory]
    [InlineData(GgufType.F32)]
    [InlineData(GgufType.F16)]
    [InlineData(GgufType.BF16)]
    [InlineData(GgufType.Q80)]
    [InlineData(GgufType.Q40)]
    public void Steps_come_back_as_they_were(GgufType type)
    {
        float[] numbers = [.. Enumerable.Range(0, 96).Select(i => (i % 32 == 5 ? (type == GgufType.Q80 ? 127 : -8) : i * 7 % 15 - 7) * MathF.ScaleB(1, i / 32 - 3))];
        byte[] bytes = Encoded(numbers, type, numbers.Length / type.BlockLength() * type.BlockBytes());
        Assert.Equal(numbers, Decoded(bytes, type, numbers.Length));
    }

    [Fact]
    public void Lengths_that_do_not_fit_are_refused()
    {
        Assert.Equal("33 numbers and 34 bytes are not the same whole blocks of Q8_0, which hold 32 numbers in 34 bytes.", Assert.Throws<ArgumentException>(() => GgufCodec.Encode(new float[33], GgufType.Q80, new byte[34])).Message);
        Assert.Equal("32 numbers and 17 bytes are not the same whole blocks of Q4_0, which hold 32 numbers in 18 bytes.", Assert.Throws<ArgumentException>(() => GgufCodec.Decode(new byte[17], GgufType.Q40, new float[32])).Message);
        Assert.StartsWith("Numbers can be read and written in F32, F16, BF16, Q8_0 and Q4_0, but not in Q6_K.", Assert.Throws<ArgumentException>(() => GgufCodec.Decode(new byte[210], GgufType.Q6K, new float[256])).Message, StringComparison.Ordinal);
        Assert.StartsWith("A number is an infinity, a NaN, or too large for F16.", Assert.Throws<ArgumentException>(() => GgufCodec.Encode([1e6f], GgufType.F16, new byte[2])).Message, StringComparison.Ordinal);
    }

    private static byte[] Encoded(float[] numbers, GgufType type, int size)
    {
        var bytes = new byte[size];
        GgufCodec.Encode(numbers, type, bytes);
        return bytes;
    }

    private static float[] Decoded(byte[] bytes, GgufType type, int count)
    {
        var numbers = new float[count];
        GgufCodec.Decode(bytes, type, numbers);
        return numbers;
    }
}
