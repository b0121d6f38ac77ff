using static TorchSharp.torch;

namespace TorchSharp.Modules;

public abstract class ConvolutionTranspose : Convolution
{
    protected ConvolutionTranspose(
        string name, long in_channels, long out_channels, long[] kernel_size, long[] stride, long[] padding, Padding? padding_type, long[] dilation,
        bool transposed, long[] output_padding, long groups, bool bias, PaddingModes padding_mode, Device device = null, ScalarType? dtype = null)
        : base(
            name, in_channels, out_channels, kernel_size, stride, padding, padding_type, dilation, transposed, output_padding, groups, bias, padding_mode,
            device, dtype)
    {
        if (padding_mode != PaddingModes.Zeros) throw new ArgumentException($"Only the padding mode Zeros is supported for {name}.");
    }

    public override Tensor forward(Tensor input) => forward(input, null);

    public abstract Tensor forward(Tensor input, long[] output_size);

    /// <summary>The padding of the output: the layer's own, or what leads to <paramref name="output_size"/>, of all or of the spatial dimensions.</summary>
    protected long[] _output_padding(
        Tensor input, long[] output_size, long[] kernel_size, long[] stride, long[] padding, long[] dilation, long num_spatial_dims)
    {
        if (output_size is null) return output_padding;
        long[] shape = input.shape;
        int spatial = (int)num_spatial_dims, leading = shape.Length - spatial;
        if (output_size.Length == shape.Length) output_size = output_size[leading..];
        if (output_size.Length != spatial)
            throw new ArgumentException($"output_size must have {spatial} or {shape.Length} elements (got {output_size.Length}).", nameof(output_size));

        var extra = new long[spatial];
        for (int d = 0; d < spatial; d++)
        {
            long least = ((shape[leading + d] - 1) * stride[d]) - (2 * padding[d]) + (dilation[d] * (kernel_size[d] - 1)) + 1, most = least + stride[d] - 1;
            if (output_size[d] < least || output_size[d] > most)
                throw new ArgumentException($"An output size of {output_size[d]} in spatial dimension {d} was asked for, but it can be from {least} to {most}.", nameof(output_size));
            extra[d] = output_size[d] - least;
        }
        return extra;
    }
}
