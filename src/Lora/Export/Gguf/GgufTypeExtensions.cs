namespace Lora.Export.Gguf;

/// <summary>What the GGUF format says about a <see cref="GgufType"/>.</summary>
public static class GgufTypeExtensions
{
    private static readonly Dictionary<GgufType, (string Name, int Length, int Bytes)> _types = new()
    {
        [GgufType.F32] = ("F32", 1, 4),
        [GgufType.F16] = ("F16", 1, 2),
        [GgufType.Q40] = ("Q4_0", 32, 2 + 16),
        [GgufType.Q41] = ("Q4_1", 32, 4 + 16),
        [GgufType.Q50] = ("Q5_0", 32, 2 + 4 + 16),
        [GgufType.Q51] = ("Q5_1", 32, 4 + 4 + 16),
        [GgufType.Q80] = ("Q8_0", 32, 2 + 32),
        [GgufType.Q81] = ("Q8_1", 32, 8 + 32),
        [GgufType.Q2K] = ("Q2_K", 256, 4 + 16 + 64),
        [GgufType.Q3K] = ("Q3_K", 256, 2 + 64 + 32 + 12),
        [GgufType.Q4K] = ("Q4_K", 256, 4 + 128 + 12),
        [GgufType.Q5K] = ("Q5_K", 256, 4 + 128 + 32 + 12),
        [GgufType.Q6K] = ("Q6_K", 256, 2 + 128 + 64 + 16),
        [GgufType.Q8K] = ("Q8_K", 256, 4 + 256 + 32),
        [GgufType.I8] = ("I8", 1, 1),
        [GgufType.I16] = ("I16", 1, 2),
        [GgufType.I32] = ("I32", 1, 4),
        [GgufType.I64] = ("I64", 1, 8),
        [GgufType.F64] = ("F64", 1, 8),
        [GgufType.BF16] = ("BF16", 1, 2),
    };

    /// <summary>Returns the type's usual name, such as <c>Q8_0</c>.</summary>
    /// <param name="type">A type of the format.</param>
    /// <returns>The name.</returns>
    public static string ToFileName(this GgufType type) => _types[type].Name;

    /// <summary>Returns how many neighbouring numbers of a row are stored together.</summary>
    /// <param name="type">A type of the format.</param>
    /// <returns>1, 32 or 256. The length of a row is a multiple of it.</returns>
    public static int BlockLength(this GgufType type) => _types[type].Length;

    /// <summary>Returns how many bytes such a block takes.</summary>
    /// <param name="type">A type of the format.</param>
    /// <returns>1 to 292.</returns>
    public static int BlockBytes(this GgufType type) => _types[type].Bytes;

    /// <summary>Whether <see cref="GgufCodec"/> knows the type's numbers.</summary>
    /// <param name="type">A type of the format.</param>
    /// <returns>True for F32, F16, BF16, Q8_0 and Q4_0.</returns>
    public static bool HasCodec(this GgufType type) => type is GgufType.F32 or GgufType.F16 or GgufType.BF16 or GgufType.Q80 or GgufType.Q40;

    /// <summary>The names of the types whose numbers are known.</summary>
    internal static string CodecNames => "F32, F16, BF16, Q8_0 and Q4_0";

    internal static bool IsKnown(GgufType type) => _types.ContainsKey(type);
}
