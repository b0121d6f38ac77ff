using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            public static Tensor softmax(Tensor input, long dim, ScalarType? dtype = null) => Ops.Tensor("softmax.int", input, dim, dtype);

            public static Tensor log_softmax(Tensor x, long dim) => Ops.Tensor("log_softmax.int", x, dim);

            public static Tensor softmin(Tensor x, long dim)
            {
                using Tensor negative = Ops.Tensor("neg", x);
                return softmax(negative, dim);
            }

            public static Tensor relu(Tensor x, bool inplace = false) => Activate("relu", inplace, x);

            public static Tensor relu6(Tensor x, bool inplace = false) => Activate("relu6", inplace, x);

            public static Tensor leaky_relu(Tensor input, double negative_slope = 0.01, bool inplace = false) =>
                Activate("leaky_relu", inplace, input, negative_slope);

            public static Tensor elu(Tensor x, double alpha, bool inplace = false) => Activate("elu", inplace, x, alpha);

            public static Tensor celu(Tensor x, double alpha, bool inplace = false) => Activate("celu", inplace, x, alpha);

            public static Tensor selu(Tensor x, bool inplace = false) => Activate("selu", inplace, x);

            public static Tensor gelu(Tensor x) => Ops.Tensor("gelu", x);

            public static Tensor gelu(Tensor x, bool inplace) => Activate("gelu", inplace, x);

            public static Tensor silu(Tensor x, bool inplace = false) => Activate("silu", inplace, x);

            public static Tensor mish(Tensor x, bool inplace = false) => Activate("mish", inplace, x);

            public static Tensor sigmoid(Tensor x) => Ops.Tensor("sigmoid", x);

            public static Tensor sigmoid(Tensor x, bool inplace) => Activate("sigmoid", inplace, x);

            public static Tensor tanh(Tensor x, bool inplace = false) => Activate("tanh", inplace, x);

            public static Tensor hardtanh(Tensor x, double min_val = -1, double max_val = 1, bool inplace = false) =>
                Activate("hardtanh", inplace, x, min_val, max_val);

            public static Tensor hardsigmoid(Tensor input, bool inplace = false) => Activate("hardsigmoid", inplace, input);

            public static Tensor hardswish(Tensor input, bool inplace = false) => Activate("hardswish", inplace, input);

            public static Tensor logsigmoid(Tensor x) => Ops.Tensor("log_sigmoid", x);

            public static Tensor softplus(Tensor x, double beta = 1, double threshold = 20) => Ops.Tensor("softplus", x, beta, threshold);

            public static Tensor glu(Tensor input, long dim = -1) => Ops.Tensor("glu", input, dim);

            public static Tensor prelu(Tensor input, Tensor weight) => Ops.Tensor("prelu", input, weight);

            // In place, the answer is still a tensor object of its own, over the same storage.
            private static Tensor Activate(string name, bool inplace, Tensor x, params ReadOnlySpan<Argument> others)
            {
                if (inplace) return Ops.Tensor("alias", Ops.InPlace(name + "_", x, others));
                return others.Length switch
                {
                    0 => Ops.Tensor(name, x),
                    1 => Ops.Tensor(name, x, others[0]),
                    _ => Ops.Tensor(name, x, others[0], others[1]),
                };
            }
        }
    }
}
