namespace Lora.Serialization;

/// <summary>
/// The element types of the safetensors format. The order is the format's own: a writer puts tensors of later types first,
/// so that every tensor starts at a multiple of its element's size.
/// </summary>
public enum SafetensorsType
{
    /// <summary>One byte per truth value (<c>BOOL</c>).</summary>
    Bool,

    /// <summary>4-bit floating point, two in a byte (<c>F4</c>).</summary>
    F4,

    /// <summary>6-bit floating point with 2 bits of exponent (<c>F6_E2M3</c>).</summary>
    F6E2M3,

    /// <summary>6-bit floating point with 3 bits of exponent (<c>F6_E3M2</c>).</summary>
    F6E3M2,

    /// <summary>Unsigned byte (<c>U8</c>).</summary>
    U8,

    /// <summary>Signed byte (<c>I8</c>).</summary>
    I8,

    /// <summary>8-bit floating point with 5 bits of exponent (<c>F8_E5M2</c>).</summary>
    F8E5M2,

    /// <summary>8-bit floating point with 4 bits of exponent (<c>F8_E4M3</c>).</summary>
    F8E4M3,

    /// <summary>8-bit power of two, used as a scale (<c>F8_E8M0</c>).</summary>
    F8E8M0,

    /// <summary>8-bit floating point with 4 bits of exponent, without infinity and negative zero (<c>F8_E4M3FNUZ</c>).</summary>
    F8E4M3Fnuz,

    /// <summary>8-bit floating point with 5 bits of exponent, without infinity and negative zero (<c>F8_E5M2FNUZ</c>).</summary>
    F8E5M2Fnuz,

    /// <summary>Signed 16-bit integer (<c>I16</c>).</summary>
    I16,

    /// <summary>Unsigned 16-bit integer (<c>U16</c>).</summary>
    U16,

    /// <summary>IEEE half precision (<c>F16</c>).</summary>
    F16,

    /// <summary>The upper half of a 32-bit float (<c>BF16</c>).</summary>
    BF16,

    /// <summary>Signed 32-bit integer (<c>I32</c>).</summary>
    I32,

    /// <summary>Unsigned 32-bit integer (<c>U32</c>).</summary>
    U32,

    /// <summary>IEEE single precision (<c>F32</c>).</summary>
    F32,

    /// <summary>Two single-precision floats, real and imaginary part (<c>C64</c>).</summary>
    C64,

    /// <summary>IEEE double precision (<c>F64</c>).</summary>
    F64,

    /// <summary>Signed 64-bit integer (<c>I64</c>).</summary>
    I64,

    /// <summary>Unsigned 64-bit integer (<c>U64</c>).</summary>
    U64,
}
