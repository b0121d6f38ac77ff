using System.Runtime.Intrinsics;

namespace Lora.Mixing;

/// <summary>The vector operations of a kernel, in one width. Its methods become single instructions where the processor has them.</summary>
internal interface IVectorWidth<TVector>
    where TVector : struct
{
    /// <summary>How many numbers a vector holds.</summary>
    static abstract int Count { get; }

    static abstract TVector Load(ref float from, nuint at);

    static abstract void Store(TVector value, ref float to, nuint at);

    /// <summary>A vector of one number.</summary>
    static abstract TVector Of(float value);

    /// <summary>a·b + c.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    static abstract float Sum(TVector value);
}

/// <summary>Eight numbers at a time; two vectors of four where the processor has no longer ones.</summary>
internal readonly struct EightWide : IVectorWidth<Vector256<float>>
{
    public static int Count => Vector256<float>.Count;

    public static Vector256<float> Load(ref float from, nuint at) => Vector256.LoadUnsafe(ref from, at);

    public static void Store(Vector256<float> value, ref float to, nuint at) => value.StoreUnsafe(ref to, at);

    public static Vector256<float> Of(float value) => Vector256.Create(value);

    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) => Vector256.MultiplyAddEstimate(a, b, c);

    public static float Sum(Vector256<float> value) => Vector256.Sum(value);
}

/// <summary>Sixteen numbers at a time, for processors that have such vectors.</summary>
internal readonly struct SixteenWide : IVectorWidth<Vector512<float>>
{
    public static int Count => Vector512<float>.Count;

    public static Vector512<float> Load(ref float from, nuint at) => Vector512.LoadUnsafe(ref from, at);

    public static void Store(Vector512<float> value, ref float to, nuint at) => value.StoreUnsafe(ref to, at);

    public static Vector512<float> Of(float value) => Vector512.Create(value);

    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) => Vector512.MultiplyAddEstimate(a, b, c);

    public static float Sum(Vector512<float> value) => Vector512.Sum(value);
}
