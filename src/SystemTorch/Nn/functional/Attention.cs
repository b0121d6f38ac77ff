using System.Runtime.InteropServices;
using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            private static readonly bool _nativeAttention = Ops.Exists("scaled_dot_product_attention");

            public static Tensor scaled_dot_product_attention(
                Tensor query, Tensor key, Tensor value, Tensor attn_mask = null, double p = 0, bool is_casual = false)
            {
                if (is_casual && attn_mask is not null) throw new ArgumentException("Casual attention masking cannot pass a mask.");
                return _nativeAttention
                    ? Ops.Tensor("scaled_dot_product_attention", query, key, value, attn_mask, p, is_casual)
                    : ComposedAttention(query, key, value, attn_mask, p, is_casual);
            }

            /// <summary>The same from operators that libtorch 1.13 has. 16-bit inputs on a CPU go through float32, as the newer kernels accumulate.</summary>
            internal static Tensor ComposedAttention(Tensor query, Tensor key, Tensor value, Tensor mask, double p, bool causal)
            {
                ScalarType type = query.dtype;
                if (mask is not null && mask.dtype != ScalarType.Bool && mask.dtype != ScalarType.Float32 && mask.dtype != type)
                    throw new ExternalException($"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: {mask.dtype} and query.dtype: {type} instead.");
                bool widen = type is ScalarType.Float16 or ScalarType.BFloat16 && query.device_type == DeviceType.CPU;
                ScalarType within = widen ? ScalarType.Float32 : type;
                using Tensor q = Ops.Tensor("to.dtype", query, within), k = Ops.Tensor("to.dtype", key, within), v = Ops.Tensor("to.dtype", value, within);

                using Tensor scaled = Ops.Tensor("mul.Scalar", q, 1 / Math.Sqrt(query.size(-1)));
                using Tensor turned = Ops.Tensor("transpose.int", k, -2, -1);
                using Tensor products = Ops.Tensor("matmul", scaled, turned);
                using Tensor weights = causal ? CausalWeights(products) : mask is null ? Ops.Tensor("softmax.int", products, -1) : MaskedWeights(products, mask);
                using Tensor kept = p > 0 ? Ops.Tensor("dropout", weights, p, true) : Ops.Tensor("alias", weights);
                using Tensor mixed = Ops.Tensor("matmul", kept, v);
                return Ops.Tensor("to.dtype", mixed, type);
            }

            private static Tensor CausalWeights(Tensor products)
            {
                using Tensor all = Ops.Tensor("ones", new[] { products.size(-2), products.size(-1) }, ScalarType.Bool, Argument.None, products.device);
                using Tensor later = Ops.Tensor("triu", all, 1);
                // In place: the product's gradient does not need its value, and the scores are the largest tensor here.
                return Ops.Tensor("softmax.int", Ops.InPlace("masked_fill_.Scalar", products, later, double.NegativeInfinity), -1);
            }

            /// <summary>Softmax of masked scores. A row that is masked altogether becomes zeros, with zero gradients, not NaN.</summary>
            private static Tensor MaskedWeights(Tensor products, Tensor mask)
            {
                bool allows = mask.dtype == ScalarType.Bool;
                using Tensor hidden = allows ? Ops.Tensor("logical_not", mask) : Ops.Tensor("eq.Scalar", mask, double.NegativeInfinity);
                using Tensor empty = Ops.Tensor("all.dim", hidden, -1, true);
                using Tensor any = Ops.Tensor("any", empty);
                bool someEmpty = Ops.Bool("is_nonzero", any);

                Tensor masked = null;
                try
                {
                    if (allows) masked = Ops.Tensor("masked_fill.Scalar", products, hidden, double.NegativeInfinity);
                    else
                    {
                        using Tensor bias = Ops.Tensor("to.dtype", mask, products.dtype);
                        masked = Ops.Tensor("add.Tensor", products, bias);
                    }
                    if (!someEmpty) return Ops.Tensor("softmax.int", masked, -1);
                    Ops.InPlace("masked_fill_.Scalar", masked, empty, 0.0);
                    using Tensor weights = Ops.Tensor("softmax.int", masked, -1);
                    return Ops.Tensor("masked_fill.Scalar", weights, empty, 0.0);
                }
                finally
                {
                    masked?.Dispose();
                }
            }
        }
    }
}
