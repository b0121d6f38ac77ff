using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            public static Tensor interpolate(
                Tensor x, long[] size = null, double[] scale_factor = null, InterpolationMode mode = InterpolationMode.Nearest, bool? align_corners = null,
                bool recompute_scale_factor = false, bool antialias = false)
            {
                if (size is null == scale_factor is null) throw new ArgumentException("Give either size or scale_factor.");
                int spatial = (int)x.Dimensions - 2;
                if ((size?.Length ?? scale_factor.Length) != spatial)
                    throw new ArgumentException($"A tensor of {x.Dimensions} dimensions has {spatial} to resize, but {size?.Length ?? scale_factor.Length} were given.");

                if (scale_factor is not null && (recompute_scale_factor || mode == InterpolationMode.Area))
                {
                    long[] shape = x.shape;
                    size = [.. scale_factor.Select((s, i) => (long)Math.Floor(shape[i + 2] * s))];
                    scale_factor = null;
                }
                if (mode == InterpolationMode.Area)
                    return Ops.Tensor($"adaptive_avg_pool{spatial}d", x, size);

                string name = mode switch
                {
                    InterpolationMode.Nearest => $"upsample_nearest{spatial}d.vec",
                    InterpolationMode.NearestExact => $"_upsample_nearest_exact{spatial}d.vec",
                    InterpolationMode.Linear when spatial == 1 => "upsample_linear1d.vec",
                    InterpolationMode.Bilinear when spatial == 2 => antialias ? "_upsample_bilinear2d_aa.vec" : "upsample_bilinear2d.vec",
                    InterpolationMode.Bicubic when spatial == 2 => antialias ? "_upsample_bicubic2d_aa.vec" : "upsample_bicubic2d.vec",
                    InterpolationMode.Trilinear when spatial == 3 => "upsample_trilinear3d.vec",
                    _ => throw new ArgumentException($"{mode} interpolation is not for tensors of {x.Dimensions} dimensions.", nameof(mode)),
                };
                if (mode is InterpolationMode.Nearest or InterpolationMode.NearestExact)
                {
                    if (align_corners is not null) throw new ArgumentException("align_corners is for linear, bilinear, bicubic and trilinear modes.", nameof(align_corners));
                    return Ops.Tensor(name, x, size, scale_factor);
                }
                return Ops.Tensor(name, x, size, align_corners ?? false, scale_factor);
            }

            public static Tensor pixel_shuffle(Tensor input, long upscale_factor) => Ops.Tensor("pixel_shuffle", input, upscale_factor);

            public static Tensor pixel_unshuffle(Tensor input, long downscale_factor) => Ops.Tensor("pixel_unshuffle", input, downscale_factor);

            public static Tensor unfold(Tensor input, long kernel_size, long dilation = 1, long padding = 0, long stride = 1) =>
                Ops.Tensor("im2col", input, new[] { kernel_size, kernel_size }, new[] { dilation, dilation }, new[] { padding, padding }, new[] { stride, stride });
        }
    }
}
