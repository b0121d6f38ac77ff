using static TorchSharp.torch;

namespace Lora.Serialization;

/// <summary>What the safetensors format and torch say about a <see cref="SafetensorsType"/>.</summary>
public static class SafetensorsTypeExtensions
{
    // In the order of the enumeration.
    private static readonly (string Name, int Bits)[] _types =
    [
        ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8), ("F8_E5M2", 8), ("F8_E4M3", 8), ("F8_E8M0", 8),
        ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8), ("I16", 16), ("U16", 16), ("F16", 16), ("BF16", 16), ("I32", 32), ("U32", 32),
        ("F32", 32), ("C64", 64), ("F64", 64), ("I64", 64), ("U64", 64),
    ];

    internal static string AllNames { get; } = string.Join(", ", _types.Select(type => type.Name));

    /// <summary>Returns the type's name in a file, such as <c>F32</c> or <c>F8_E4M3</c>.</summary>
    /// <param name="type">A type of the format.</param>
    /// <returns>The name as the header spells it.</returns>
    public static string ToFileName(this SafetensorsType type) => _types[(int)type].Name;

    /// <summary>Returns the number of bits that one element takes.</summary>
    /// <param name="type">A type of the format.</param>
    /// <returns>4 to 64.</returns>
    public static int BitsPerElement(this SafetensorsType type) => _types[(int)type].Bits;

    /// <summary>Returns torch's type for it.</summary>
    /// <param name="type">A type of the format.</param>
    /// <returns>The type, or null where torch (as TorchSharp shows it) has none: unsigned integers of more than 8 bits and floats of fewer than 16.</returns>
    public static ScalarType? ToScalarType(this SafetensorsType type) => type switch
    {
        SafetensorsType.Bool => ScalarType.Bool,
        SafetensorsType.U8 => ScalarType.Byte,
        SafetensorsType.I8 => ScalarType.Int8,
        SafetensorsType.I16 => ScalarType.Int16,
        SafetensorsType.F16 => ScalarType.Float16,
        SafetensorsType.BF16 => ScalarType.BFloat16,
        SafetensorsType.I32 => ScalarType.Int32,
        SafetensorsType.F32 => ScalarType.Float32,
        SafetensorsType.C64 => ScalarType.ComplexFloat32,
        SafetensorsType.F64 => ScalarType.Float64,
        SafetensorsType.I64 => ScalarType.Int64,
        _ => null,
    };

    /// <summary>Returns the format's type for one of torch's.</summary>
    /// <param name="type">torch's type.</param>
    /// <returns>The type, or null where the format has none (double-precision complex).</returns>
    public static SafetensorsType? ToSafetensorsType(this ScalarType type) => type switch
    {
        ScalarType.Bool => SafetensorsType.Bool,
        ScalarType.Byte => SafetensorsType.U8,
        ScalarType.Int8 => SafetensorsType.I8,
        ScalarType.Int16 => SafetensorsType.I16,
        ScalarType.Float16 => SafetensorsType.F16,
        ScalarType.BFloat16 => SafetensorsType.BF16,
        ScalarType.Int32 => SafetensorsType.I32,
        ScalarType.Float32 => SafetensorsType.F32,
        ScalarType.ComplexFloat32 => SafetensorsType.C64,
        ScalarType.Float64 => SafetensorsType.F64,
        ScalarType.Int64 => SafetensorsType.I64,
        _ => null,
    };

    internal static bool TryParse(string name, out SafetensorsType type)
    {
        int index = Array.FindIndex(_types, candidate => string.Equals(candidate.Name, name, StringComparison.Ordinal));
        type = (SafetensorsType)Math.Max(index, 0);
        return index >= 0;
    }
}
