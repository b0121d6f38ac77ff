namespace Lora.Export.Gguf;

/// <summary>
/// The types of tensors in a GGUF file; the numbers are the format's own. Numbers can be read and written in <see cref="F32"/>, <see cref="F16"/>, <see cref="BF16"/>,
/// <see cref="Q80"/> and <see cref="Q40"/>; of the others a file's table is read, and bytes.
/// </summary>
public enum GgufType
{
    /// <summary>IEEE single precision (<c>F32</c>).</summary>
    F32 = 0,

    /// <summary>IEEE half precision (<c>F16</c>).</summary>
    F16 = 1,

    /// <summary>4 bits and a scale for each 32 (<c>Q4_0</c>).</summary>
    Q40 = 2,

    /// <summary>4 bits, a scale and a minimum for each 32 (<c>Q4_1</c>).</summary>
    Q41 = 3,

    /// <summary>5 bits and a scale for each 32 (<c>Q5_0</c>).</summary>
    Q50 = 6,

    /// <summary>5 bits, a scale and a minimum for each 32 (<c>Q5_1</c>).</summary>
    Q51 = 7,

    /// <summary>8 bits and a scale for each 32 (<c>Q8_0</c>).</summary>
    Q80 = 8,

    /// <summary>8 bits, a scale and a sum for each 32 (<c>Q8_1</c>).</summary>
    Q81 = 9,

    /// <summary>2 bits in blocks of 256 (<c>Q2_K</c>).</summary>
    Q2K = 10,

    /// <summary>3 bits in blocks of 256 (<c>Q3_K</c>).</summary>
    Q3K = 11,

    /// <summary>4 bits in blocks of 256 (<c>Q4_K</c>).</summary>
    Q4K = 12,

    /// <summary>5 bits in blocks of 256 (<c>Q5_K</c>).</summary>
    Q5K = 13,

    /// <summary>6 bits in blocks of 256 (<c>Q6_K</c>).</summary>
    Q6K = 14,

    /// <summary>8 bits in blocks of 256 (<c>Q8_K</c>).</summary>
    Q8K = 15,

    /// <summary>Signed byte (<c>I8</c>).</summary>
    I8 = 24,

    /// <summary>Signed 16-bit integer (<c>I16</c>).</summary>
    I16 = 25,

    /// <summary>Signed 32-bit integer (<c>I32</c>).</summary>
    I32 = 26,

    /// <summary>Signed 64-bit integer (<c>I64</c>).</summary>
    I64 = 27,

    /// <summary>IEEE double precision (<c>F64</c>).</summary>
    F64 = 28,

    /// <summary>The upper half of a 32-bit float (<c>BF16</c>).</summary>
    BF16 = 30,
}
