using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Over which inputs a convolution slides its kernel, apart from channels: what the down-projection of its adapter has in common with it.</summary>
internal sealed record ConvolutionGeometry
{
    private readonly long[] _kernel, _stride, _outputPadding;

    // Null where the padding is named.
    private readonly long[]? _padding;
    private readonly Padding? _named;

    private ConvolutionGeometry(Convolution convolution)
    {
        _kernel = [.. convolution.kernel_size];
        _stride = [.. convolution.stride];
        _outputPadding = [.. convolution.output_padding ?? []];
        _padding = convolution.padding_type is null ? [.. convolution.padding!] : null; // It is null only beside a named one.
        _named = convolution.padding_type;
        Dilation = [.. convolution.dilation];
        Mode = convolution.padding_mode;
    }

    /// <summary>The size of the kernel in each dimension.</summary>
    internal IReadOnlyList<long> Kernel => _kernel;

    /// <summary>The number of elements of the kernel.</summary>
    internal long KernelElements => _kernel.Aggregate(1L, (product, size) => product * size);

    /// <summary>Whether a dilation or a padding mode has an effect. PEFT gives neither to lora_A.</summary>
    internal bool IsUnknownToPeft => Dilation.Zip(_kernel).Any(d => d.First > 1 && d.Second > 1) || (Mode != PaddingModes.Zeros && Padded().Any(sides => sides.Before + sides.After > 0));

    private long[] Dilation { get; init; }

    private PaddingModes Mode { get; init; }

    internal static ConvolutionGeometry Of(Convolution convolution) => new(convolution);

    /// <summary>What PEFT gives to lora_A.</summary>
    internal ConvolutionGeometry AsInPeft() => this with { Dilation = [.. Dilation.Select(_ => 1L)], Mode = PaddingModes.Zeros };

    /// <summary>The sizes of the output's dimensions behind the channels.</summary>
    internal long[] OutputSizes(Tensor input) =>
    [
        .. input.shape[^_kernel.Length..].Zip(Padded(), (size, sides) => size + sides.Before + sides.After)
            .Select((size, d) => ((size - (Dilation[d] * (_kernel[d] - 1)) - 1) / _stride[d]) + 1),
    ];

    /// <summary>Slides a kernel over an input, each group of channels by itself.</summary>
    /// <param name="input">The input, <c>[N, in, …]</c> or <c>[in, …]</c>.</param>
    /// <param name="weight">The kernels, <c>[out, in / groups, k…]</c>.</param>
    /// <param name="groups">The number of groups; 1 for all channels at once.</param>
    internal Tensor Slide(Tensor input, Tensor weight, long groups = 1)
    {
        if (Mode != PaddingModes.Zeros)
        {
            // From the last dimension to the first.
            Tensor padded = nn.functional.pad(input, [.. Padded().Reverse().SelectMany(sides => new[] { sides.Before, sides.After })], Mode);
            return Convolve(padded, weight, null, _stride, new long[_kernel.Length], Dilation, groups);
        }
        if (_padding is not null) return Convolve(input, weight, null, _stride, _padding, Dilation, groups);
        Padding padding = _named!.Value;
        return _kernel.Length switch
        {
            1 => nn.functional.conv1d_padding(input, weight, null, _stride[0], padding, Dilation[0], groups),
            2 => nn.functional.conv2d_padding(input, weight, null, _stride, padding, Dilation, groups),
            _ => nn.functional.conv3d_padding(input, weight, null, _stride, padding, Dilation, groups),
        };
    }

    /// <summary>Slides a kernel over an input in the transposed way, each group of channels by itself.</summary>
    /// <param name="input">The input, <c>[N, in, …]</c> or <c>[in, …]</c>.</param>
    /// <param name="weight">The kernels, <c>[in, r / groups, k…]</c>.</param>
    /// <param name="groups">The number of groups.</param>
    internal Tensor SlideTransposed(Tensor input, Tensor weight, long groups) => _kernel.Length switch
    {
        1 => nn.functional.conv_transpose1d(input, weight, null, _stride[0], _padding![0], _outputPadding[0], Dilation[0], groups),
        2 => nn.functional.conv_transpose2d(input, weight, null, _stride, _padding, _outputPadding, Dilation, groups),
        _ => nn.functional.conv_transpose3d(input, weight, null, _stride, _padding, _outputPadding, Dilation, groups),
    };

    /// <summary>Mixes the channels at each place, each group of them by itself.</summary>
    /// <param name="input">The input, <c>[N, r, …]</c> or <c>[r, …]</c>.</param>
    /// <param name="weight">The kernels of one element, <c>[out, r / groups, 1…]</c>.</param>
    /// <param name="bias">The bias, <c>[out]</c>, or null.</param>
    /// <param name="groups">The number of groups.</param>
    internal Tensor Mix(Tensor input, Tensor weight, Tensor? bias, long groups)
    {
        long[] ones = [.. _kernel.Select(_ => 1L)];
        return Convolve(input, weight, bias, ones, new long[_kernel.Length], ones, groups);
    }

    /// <summary>The size of the kernel, such as <c>3×3</c>.</summary>
    public override string ToString() => string.Join('×', _kernel);

    private static Tensor Convolve(Tensor input, Tensor weight, Tensor? bias, long[] stride, long[] padding, long[] dilation, long groups) => stride.Length switch
    {
        1 => nn.functional.conv1d(input, weight, bias, stride[0], padding[0], dilation[0], groups),
        2 => nn.functional.conv2d(input, weight, bias, stride, padding, dilation, groups),
        _ => nn.functional.conv3d(input, weight, bias, stride, padding, dilation, groups),
    };

    // What is added on both sides of each dimension. An odd number for "same" goes to the end.
    private IEnumerable<(long Before, long After)> Padded() => _kernel.Select((size, d) =>
    {
        if (_padding is not null) return (_padding[d], _padding[d]);
        long total = _named == Padding.Same ? Dilation[d] * (size - 1) : 0;
        return (total / 2, total - (total / 2));
    });
}
