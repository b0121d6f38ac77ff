using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>
/// A convolution of loralib with kernel k: the product of <c>lora_B [out·k, r·k]</c> and <c>lora_A [r·k, in·k]</c> is read, row by row, as the weight <c>[out, in, k, k]</c>.
/// </summary>
/// <remarks>
/// k rows of the product make the kernel of one output channel, each of them a k-th of it. As a matrix <c>[out, in·k·k]</c> the update is therefore U·D with
/// <c>U[o, (p, j)] = lora_B[o·k + p, j]</c> and D block-diagonal, k times lora_A: an ordinary pair of rank r·k².
/// </remarks>
internal sealed class LoraLibConvolution(string path, Convolution layer, LoraConfig config)
{
    private readonly int _rank = config.RankFor(path);

    private long Kernel => layer.kernel_size[0];

    // What k and the layer's form make of the rank.
    private int WideRank => checked((int)(_rank * Kernel * Kernel));

    /// <summary>What is to be said about how it is loaded, or null.</summary>
    internal string? Remark => Kernel == 1 ? null : $"'{path}' has a pair of rank {_rank} in loralib's form for a kernel of {Kernel}, which is one of rank {WideRank} here, with the same update";

    /// <summary>The settings with the ranks and alphas that converted layers have.</summary>
    internal static LoraConfig With(LoraConfig config, IEnumerable<LoraLibConvolution> convolutions)
    {
        LoraLibConvolution[] converted = [.. convolutions.Where(convolution => convolution.Kernel > 1)];
        return converted.Length == 0 ? config : config with
        {
            RankPattern = ExactTargets.First(converted.Select(convolution => (convolution.Path, convolution.WideRank)), config.RankPattern),
            AlphaPattern = ExactTargets.First(converted.Select(convolution => (convolution.Path, convolution.WideAlpha)), config.AlphaPattern),
        };
    }

    /// <summary>Why a tensor cannot be converted, or null.</summary>
    internal string? Problem(SafetensorsEntry entry, string factor)
    {
        if (layer.groups > 1)
            return $"'{path}' is a {layer.GetType().Name} in {layer.groups} groups, of which loralib's lora_B·lora_A, row by row, mixes up the channels: no pair of this library of a sensible rank computes it. Leave the layer out";
        if (layer.kernel_size.Any(size => size != Kernel) || (Kernel > 1 && layer is not Conv2d))
            return $"'{path}' is a {layer.GetType().Name} with a kernel of {string.Join('×', layer.kernel_size)}, and loralib's lora_B·lora_A has the size of a square kernel of two dimensions only: leave the layer out";
        long[] needed = factor == "A" ? [_rank * Kernel, layer.in_channels * Kernel] : [layer.out_channels * Kernel, _rank * Kernel];
        return entry.Shape.SequenceEqual(needed) ? null : $"tensor {entry.Name} has the shape [{string.Join(", ", entry.Shape)}], but [{string.Join(", ", needed)}] is needed";
    }

    /// <summary>The tensor of our pair that one of loralib's becomes.</summary>
    internal AdapterTensor Converted(SafetensorsSource source, SafetensorsEntry entry, string factor)
    {
        long[] shape = factor == "A" ? [WideRank, layer.in_channels, .. layer.kernel_size] : [layer.out_channels, WideRank, .. layer.kernel_size.Select(_ => 1L)];
        return new AdapterTensor(source, entry, AdapterFit.KeyOf(path, $"lora_{factor}.weight")) { Shape = shape, Convert = tensor => factor == "A" ? Down(tensor, shape) : tensor.reshape(shape) };
    }

    private string Path => path;

    // So that the scale stays what it is.
    private double WideAlpha => config.AlphaFor(path) * (config.UseRankStabilizedScaling ? Kernel : Kernel * Kernel);

    private Tensor Down(Tensor a, long[] shape)
    {
        Tensor blocks = a.new_zeros([Kernel, a.shape[0], Kernel, a.shape[1]]);
        for (long p = 0; p < Kernel; p++) blocks.select(0, p).select(1, p).copy_(a);
        return blocks.reshape(shape);
    }
}
