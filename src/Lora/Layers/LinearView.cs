using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>How to reach the weight of a layer that computes W·x + b, whatever its class. The parameters are looked up anew each time, since moving a model replaces them.</summary>
/// <param name="weight">Gives the weight, shape <c>[out, in]</c>, or <c>[in, out]</c> where it is stored transposed.</param>
/// <param name="bias">Gives the bias, shape <c>[out]</c>, or null.</param>
/// <param name="isTransposed">Whether the weight is stored as <c>[in, out]</c>.</param>
public sealed class LinearView(Func<Parameter> weight, Func<Parameter?> bias, bool isTransposed = false)
{
    /// <summary>The weight, shape <c>[out, in]</c>, or <c>[in, out]</c> where it is stored transposed.</summary>
    public Parameter Weight => weight();

    /// <summary>The bias, shape <c>[out]</c>, or null.</summary>
    public Parameter? Bias => bias();

    /// <summary>Whether the weight is stored as <c>[in, out]</c>.</summary>
    public bool IsTransposed => isTransposed;

    /// <summary>The width of the input.</summary>
    public long InFeatures => Weight.shape[isTransposed ? 0 : 1];

    /// <summary>The width of the output.</summary>
    public long OutFeatures => Weight.shape[isTransposed ? 1 : 0];

    /// <summary>The view of the layers that need no registration, or null.</summary>
    internal static LinearView? Of(nn.Module module) => module switch
    {
        Linear linear => new LinearView(() => linear.weight, () => linear.bias),
        TransposedLinear transposed => new LinearView(() => transposed.Weight, () => transposed.Bias, isTransposed: true),
        _ => null,
    };
}
