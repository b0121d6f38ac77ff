using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            public static Tensor linear(Tensor input, Tensor weights, Tensor bias = null) => Ops.Tensor("linear", input, weights, bias);

            public static Tensor bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor bias = null) =>
                Ops.Tensor("bilinear", input1, input2, weight, bias);

            public static Tensor one_hot(Tensor x, long num_classes = -1) => Ops.Tensor("one_hot", x, num_classes);

            public static Tensor pairwise_distance(Tensor input1, Tensor input2, double p = 2, double eps = 1E-06, bool keepdim = false) =>
                Ops.Tensor("pairwise_distance", input1, input2, p, eps, keepdim);

            public static Tensor cosine_similarity(Tensor x1, Tensor x2, long dim = 1, double eps = 1E-08) =>
                Ops.Tensor("cosine_similarity", x1, x2, dim, eps);

            public static Tensor normalize(Tensor input, double p = 2, long dim = 1, double eps = 1E-12)
            {
                using Tensor norm = Ops.Tensor("norm.ScalarOpt_dim", input, p, new[] { dim }, true);
                using Tensor divisor = Ops.Tensor("clamp_min", norm, eps);
                return Ops.Tensor("div.Tensor", input, divisor);
            }
        }
    }
}
