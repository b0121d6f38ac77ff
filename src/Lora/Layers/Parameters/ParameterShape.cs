namespace Lora.Layers;

/// <summary>How a raw parameter is read as weights: <c>[out, in]</c>, or <c>[experts, out, in]</c>, or <c>[experts, in, out]</c> where its module says that it is transposed.</summary>
/// <param name="Experts">The number of weights; null where the parameter is one matrix.</param>
/// <param name="In">The width of their inputs.</param>
/// <param name="Out">The width of their outputs.</param>
/// <param name="IsTransposed">Whether each is stored as <c>[in, out]</c>.</param>
internal sealed record ParameterShape(long? Experts, long In, long Out, bool IsTransposed)
{
    internal static ParameterShape Of(long[] shape, bool isTransposed) => shape.Length == 2
        ? new ParameterShape(null, shape[1], shape[0], false)
        : new ParameterShape(shape[0], shape[isTransposed ? 1 : 2], shape[isTransposed ? 2 : 1], isTransposed);
}
