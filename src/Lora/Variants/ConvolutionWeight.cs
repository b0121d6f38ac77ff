using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Variants;

/// <summary>The weight of a convolution, <c>[out, in / groups, k…]</c>. A row is all that leads to one output channel.</summary>
internal sealed class ConvolutionWeight(Convolution layer, ConvolutionGeometry geometry, long groups) : AdaptedWeight
{
    private readonly long[] _ones = [.. geometry.Kernel.Select(_ => 1L)];

    internal override Parameter Weight => layer.weight;

    internal override Parameter? Bias => layer.bias;

    internal override long Outputs => layer.out_channels;

    internal override long[] FileShape => [1, layer.out_channels, .. _ones];

    internal override long[] RowDimensions => [.. Enumerable.Range(1, _ones.Length + 1).Select(dimension => (long)dimension)];

    internal override WeightRows Rows(LoraAdapter adapter)
    {
        (Tensor a, Tensor b) = (adapter.A, adapter.B);
        if (groups == 1)
        {
            Tensor down = a.flatten(1);
            return new WeightRows(Weight.flatten(1), down, down, b.flatten(1));
        }
        // A reaches the channels of all groups, W those of one.
        Tensor own = a.reshape(groups, a.shape[0] / groups, groups, -1).diagonal(0, 0, 2).permute(2, 0, 1);
        return new WeightRows(Weight.reshape(groups, Outputs / groups, -1), own, a.reshape(groups, a.shape[0] / groups, -1), b.reshape(groups, Outputs / groups, -1));
    }

    internal override Tensor Apply(Tensor input) => geometry.Slide(input.dtype == Weight.dtype ? input : input.to(Weight.dtype), Weight, groups);

    internal override Tensor OverOutput(Tensor numbers) => numbers.view([-1, .. _ones]);

    internal override Tensor OverWeight(Tensor numbers) => numbers.view([-1, 1, .. _ones]);
}
