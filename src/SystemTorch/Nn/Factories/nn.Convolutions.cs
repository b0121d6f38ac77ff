using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static Conv1d Conv1d(
            long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(in_channels, out_channels, Repeat(kernel_size, 1), Repeat(stride, 1), Repeat(padding, 1), null, Repeat(dilation, 1), groups, bias, padding_mode, device, dtype);

        public static Conv1d Conv1d(
            long in_channels, long out_channels, long kernel_size, Padding padding, long stride = 1, long dilation = 1, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(in_channels, out_channels, Repeat(kernel_size, 1), Repeat(stride, 1), null, padding, Repeat(dilation, 1), groups, bias, padding_mode, device, dtype);

        public static Conv2d Conv2d(
            long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(in_channels, out_channels, Repeat(kernel_size, 2), Repeat(stride, 2), Repeat(padding, 2), null, Repeat(dilation, 2), groups, bias, padding_mode, device, dtype);

        public static Conv2d Conv2d(
            long in_channels, long out_channels, long kernel_size, Padding padding, long stride = 1, long dilation = 1, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(in_channels, out_channels, Repeat(kernel_size, 2), Repeat(stride, 2), null, padding, Repeat(dilation, 2), groups, bias, padding_mode, device, dtype);

        public static Conv2d Conv2d(
            long in_channels, long out_channels, (long, long) kernel_size, (long, long)? stride = null, (long, long)? padding = null,
            (long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(
                in_channels, out_channels, List(kernel_size), List(stride) ?? Repeat(1, 2), List(padding) ?? Repeat(0, 2), null, List(dilation) ?? Repeat(1, 2),
                groups, bias, padding_mode, device, dtype);

        public static Conv2d Conv2d(
            long in_channels, long out_channels, (long, long) kernel_size, Padding padding, (long, long)? stride = null,
            (long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(in_channels, out_channels, List(kernel_size), List(stride) ?? Repeat(1, 2), null, padding, List(dilation) ?? Repeat(1, 2), groups, bias, padding_mode, device, dtype);

        public static Conv3d Conv3d(
            long in_channels, long out_channels, long kernel_size, long stride = 1, long padding = 0, long dilation = 1, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(in_channels, out_channels, Repeat(kernel_size, 3), Repeat(stride, 3), Repeat(padding, 3), null, Repeat(dilation, 3), groups, bias, padding_mode, device, dtype);

        public static Conv3d Conv3d(
            long in_channels, long out_channels, long kernel_size, Padding padding, long stride = 1, long dilation = 1, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(in_channels, out_channels, Repeat(kernel_size, 3), Repeat(stride, 3), null, padding, Repeat(dilation, 3), groups, bias, padding_mode, device, dtype);

        public static Conv3d Conv3d(
            long in_channels, long out_channels, (long, long, long) kernel_size, (long, long, long)? stride = null, (long, long, long)? padding = null,
            (long, long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(
                in_channels, out_channels, List(kernel_size), List(stride) ?? Repeat(1, 3), List(padding) ?? Repeat(0, 3), null, List(dilation) ?? Repeat(1, 3),
                groups, bias, padding_mode, device, dtype);

        public static Conv3d Conv3d(
            long in_channels, long out_channels, (long, long, long) kernel_size, Padding padding, (long, long, long)? stride = null,
            (long, long, long)? dilation = null, PaddingModes padding_mode = PaddingModes.Zeros, long groups = 1,
            bool bias = true, Device device = null, ScalarType? dtype = null) =>
            new(in_channels, out_channels, List(kernel_size), List(stride) ?? Repeat(1, 3), null, padding, List(dilation) ?? Repeat(1, 3), groups, bias, padding_mode, device, dtype);
    }
}
