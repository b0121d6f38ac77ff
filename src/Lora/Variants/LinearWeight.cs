using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>The weight of a linear layer.</summary>
internal sealed class LinearWeight(LinearView layer) : AdaptedWeight
{
    internal override Parameter Weight => layer.Weight;

    internal override Parameter? Bias => layer.Bias;

    internal override long Outputs => layer.OutFeatures;

    internal override long[] FileShape => [layer.OutFeatures];

    internal override long[] RowDimensions => [layer.IsTransposed ? 0 : 1];

    internal override WeightRows Rows(LoraAdapter adapter) => new(layer.IsTransposed ? layer.Weight.t() : layer.Weight, adapter.A, adapter.A, adapter.B);

    internal override WeightChange Product(Tensor up, Tensor down) => layer.IsTransposed
        ? WeightChange.Product(layer.Weight, down.t(), up.t(), 1)
        : WeightChange.Product(layer.Weight, up, down, 1);

    internal override Tensor Apply(Tensor input)
    {
        Parameter weight = layer.Weight;
        return nn.functional.linear(input.dtype == weight.dtype ? input : input.to(weight.dtype), layer.IsTransposed ? weight.t() : weight);
    }

    internal override Tensor OverOutput(Tensor numbers) => numbers;

    internal override Tensor OverWeight(Tensor numbers) => layer.IsTransposed ? numbers : numbers.unsqueeze(1);
}
