using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>What a variant may know of the weight that its adapter works on. The parameters are looked up anew each time, since moving a model replaces them.</summary>
internal abstract class AdaptedWeight
{
    /// <summary>The weight as the layer stores it.</summary>
    internal abstract Parameter Weight { get; }

    /// <summary>The bias, shape <c>[out]</c>, or null.</summary>
    internal abstract Parameter? Bias { get; }

    /// <summary>The number of outputs.</summary>
    internal abstract long Outputs { get; }

    /// <summary>The shape in which a file holds one number for each output.</summary>
    internal abstract long[] FileShape { get; }

    /// <summary>The dimensions of the stored weight along which the numbers of one output lie.</summary>
    internal abstract long[] RowDimensions { get; }

    /// <summary>The weight and the adapter's factors as matrices; the views belong to the current dispose scope.</summary>
    internal abstract WeightRows Rows(LoraAdapter adapter);

    /// <summary>Adds a product of matrices <c>[out, n]</c> and <c>[n, in]</c> to the weight.</summary>
    internal virtual WeightChange Product(Tensor up, Tensor down) => throw new InvalidOperationException("The weight is no matrix to which a product could be added.");

    /// <summary>Computes W·x without the bias, in the weight's type.</summary>
    internal abstract Tensor Apply(Tensor input);

    /// <summary>A view of one number for each output, <c>[out]</c>, that multiplies an output of the layer.</summary>
    internal abstract Tensor OverOutput(Tensor numbers);

    /// <summary>A view of one number for each output, <c>[out]</c>, that multiplies the stored weight.</summary>
    internal abstract Tensor OverWeight(Tensor numbers);
}
