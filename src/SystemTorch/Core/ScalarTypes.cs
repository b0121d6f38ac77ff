using System.Numerics;
using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>Which .NET type holds an element of which dtype. No .NET type stands for bfloat16.</summary>
internal static class ScalarTypes
{
    private static readonly Dictionary<Type, ScalarType> _byType = new()
    {
        [typeof(byte)] = ScalarType.Byte,
        [typeof(sbyte)] = ScalarType.Int8,
        [typeof(short)] = ScalarType.Int16,
        [typeof(int)] = ScalarType.Int32,
        [typeof(long)] = ScalarType.Int64,
        [typeof(Half)] = ScalarType.Float16,
        [typeof(float)] = ScalarType.Float32,
        [typeof(double)] = ScalarType.Float64,
        [typeof(bool)] = ScalarType.Bool,
        [typeof((float, float))] = ScalarType.ComplexFloat32,
        [typeof(Complex)] = ScalarType.ComplexFloat64,
    };

    internal static ScalarType? Of(Type type) => type is not null && _byType.TryGetValue(type, out ScalarType found) ? found : null;

    /// <summary>Throws unless a <typeparamref name="T"/> is the element of <paramref name="dtype"/>.</summary>
    internal static void Require<T>(ScalarType dtype)
    {
        if (Of(typeof(T)) != dtype) throw new ArgumentException($"{typeof(T).Name} is not compatible with {dtype}");
    }
}
