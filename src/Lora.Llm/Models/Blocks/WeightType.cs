using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The types that weights can have.</summary>
internal static class WeightType
{
    /// <exception cref="ArgumentException">It is no floating-point type.</exception>
    internal static void ThrowIfWrong(ScalarType type)
    {
        if (type is not (ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64))
            throw new ArgumentException($"Weights cannot be of type {type}: give Float16, BFloat16, Float32 or Float64.");
    }
}
