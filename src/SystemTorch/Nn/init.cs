using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>Initialisers: each changes the tensor in place and gives it back. They draw from the generator as PyTorch's do.</summary>
        public static partial class init
        {
            public enum NonlinearityType
            {
                Linear = 0,
                Conv1D = 1,
                Conv2D = 2,
                Conv3D = 3,
                ConvTranspose1D = 4,
                ConvTranspose2D = 5,
                ConvTranspose3D = 6,
                Sigmoid = 7,
                Tanh = 8,
                ReLU = 9,
                LeakyReLU = 10,
            }

            public enum FanInOut
            {
                FanIn = 0,
                FanOut = 1,
            }

            public static double calculate_gain(NonlinearityType nonlinearity, double param = 0) => nonlinearity switch
            {
                NonlinearityType.Tanh => 5.0 / 3.0,
                NonlinearityType.ReLU => Math.Sqrt(2),
                NonlinearityType.LeakyReLU => Math.Sqrt(2 / (1 + (param * param))),
                _ => 1,
            };

            public static (long fanIn, long fanOut) CalculateFanInAndFanOut(Tensor tensor)
            {
                long[] shape = tensor.shape;
                if (shape.Length < 2) throw new ArgumentException("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions");
                long field = 1;
                foreach (long size in shape.AsSpan(2)) field *= size;
                return (shape[1] * field, shape[0] * field);
            }

            public static Tensor zeros_(Tensor tensor) => Fill("zero_", tensor);

            public static Tensor ones_(Tensor tensor) => Fill("fill_.Scalar", tensor, 1L);

            public static Tensor constant_(Tensor tensor, Scalar val) => Fill("fill_.Scalar", tensor, val);

            public static Tensor uniform_(Tensor tensor, double low = 0, double high = 1, Generator generator = null) =>
                Draw("uniform_", tensor, low, high, generator);

            public static Tensor normal_(Tensor tensor, double mean = 0, double std = 1, Generator generator = null) =>
                Draw("normal_", tensor, mean, std, generator);

            public static Tensor trunc_normal_(Tensor tensor, double mean = 0, double std = 1, double a = -2, double b = 2, Generator generator = null)
            {
                // By the inverse of the cumulative distribution, uniform between the two cuts.
                double low = NormalCdf((a - mean) / std), high = NormalCdf((b - mean) / std);
                using IDisposable _ = no_grad();
                uniform_(tensor, (2 * low) - 1, (2 * high) - 1, generator);
                Ops.InPlace("erfinv_", tensor);
                Ops.InPlace("mul_.Scalar", tensor, std * Math.Sqrt(2));
                Ops.InPlace("add_.Scalar", tensor, mean);
                return Ops.InPlace("clamp_", tensor, a, b);
            }

            public static Tensor kaiming_uniform_(
                Tensor tensor, double a = 0, FanInOut mode = FanInOut.FanIn, NonlinearityType nonlinearity = NonlinearityType.LeakyReLU)
            {
                double bound = Math.Sqrt(3) * KaimingStd(tensor, a, mode, nonlinearity);
                return uniform_(tensor, -bound, bound);
            }

            public static Tensor kaiming_normal_(
                Tensor tensor, double a = 0, FanInOut mode = FanInOut.FanIn, NonlinearityType nonlinearity = NonlinearityType.LeakyReLU) =>
                normal_(tensor, 0, KaimingStd(tensor, a, mode, nonlinearity));

            public static Tensor xavier_uniform_(Tensor tensor, double gain = 1)
            {
                double bound = Math.Sqrt(3) * XavierStd(tensor, gain);
                return uniform_(tensor, -bound, bound);
            }

            public static Tensor xavier_normal_(Tensor tensor, double gain = 1) => normal_(tensor, 0, XavierStd(tensor, gain));

            public static Tensor glorot_uniform_(Tensor tensor, double gain = 1) => xavier_uniform_(tensor, gain);

            public static Tensor glorot_normal_(Tensor tensor, double gain = 1) => xavier_normal_(tensor, gain);

            public static Tensor eye_(Tensor tensor)
            {
                if (tensor.Dimensions != 2) throw new ArgumentException("Only tensors with 2 dimensions are supported");
                using IDisposable _ = no_grad();
                using Tensor eye = Ops.Tensor("eye.m", tensor.size(0), tensor.size(1), tensor.dtype, Argument.None, tensor.device);
                return Ops.InPlace("copy_", tensor, eye);
            }

            public static Tensor orthogonal_(Tensor tensor, double gain = 1)
            {
                if (tensor.Dimensions < 2) throw new ArgumentException("Only tensors with 2 or more dimensions are supported");
                using IDisposable _ = no_grad();
                using DisposeScope scope = NewDisposeScope();
                long rows = tensor.size(0), columns = tensor.NumberOfElements / rows;
                Tensor flat = Ops.Tensor("empty.memory_format", new[] { rows, columns }, tensor.dtype, Argument.None, tensor.device);
                Ops.InPlace("normal_", flat, 0.0, 1.0);
                if (rows < columns) flat = Ops.Tensor("t", flat);

                // The signs of R's diagonal make the result uniform over the orthogonal matrices.
                (Tensor q, Tensor r) = Ops.Pair("linalg_qr", flat);
                Tensor signs = Ops.Tensor("sign", Ops.Tensor("diagonal", r));
                q = Ops.Tensor("mul.Tensor", q, signs);
                if (rows < columns) q = Ops.Tensor("t", q);
                Ops.InPlace("copy_", tensor, Ops.Tensor("reshape", q, tensor.shape));
                return Ops.InPlace("mul_.Scalar", tensor, gain);
            }

            private static Tensor Fill(string name, Tensor tensor, params ReadOnlySpan<Argument> arguments)
            {
                using IDisposable _ = no_grad();
                return Ops.InPlace(name, tensor, arguments);
            }

            private static Tensor Draw(string name, Tensor tensor, double first, double second, Generator generator)
            {
                // libtorch 1.13 draws no random float16 on a CPU.
                if (tensor.dtype != ScalarType.Float16 || tensor.device_type != DeviceType.CPU) return Fill(name, tensor, first, second, generator);
                using IDisposable _ = no_grad();
                using Tensor single = Ops.Tensor("empty_like", tensor, ScalarType.Float32);
                return Ops.InPlace("copy_", tensor, Ops.InPlace(name, single, first, second, generator));
            }

            private static double KaimingStd(Tensor tensor, double a, FanInOut mode, NonlinearityType nonlinearity)
            {
                (long fanIn, long fanOut) = CalculateFanInAndFanOut(tensor);
                return calculate_gain(nonlinearity, a) / Math.Sqrt(mode == FanInOut.FanIn ? fanIn : fanOut);
            }

            private static double XavierStd(Tensor tensor, double gain)
            {
                (long fanIn, long fanOut) = CalculateFanInAndFanOut(tensor);
                return gain * Math.Sqrt(2.0 / (fanIn + fanOut));
            }

            private static double NormalCdf(double x)
            {
                // 0.5 (1 + erf(x/√2)), with erf from the series of positive terms: erf z = 2/√π · exp(-z²) · Σ 2ⁿ z²ⁿ⁺¹ / (2n+1)!!
                if (Math.Abs(x) > 8) return x > 0 ? 1 : 0;
                double z = x / Math.Sqrt(2), term = z, sum = z;
                for (int n = 1; Math.Abs(term) > 1e-17 * Math.Abs(sum); n++)
                {
                    term *= 2 * z * z / ((2 * n) + 1);
                    sum += term;
                }
                return 0.5 * (1 + (2 / Math.Sqrt(Math.PI) * Math.Exp(-z * z) * sum));
            }
        }
    }
}
