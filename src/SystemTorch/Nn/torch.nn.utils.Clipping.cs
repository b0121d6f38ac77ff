using TorchSharp.Interop;
using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class utils
        {
            /// <summary>
            /// Scales the gradients so that their common norm is at most <paramref name="max_norm"/>, and gives the norm they had. The device is waited
            /// for once, for that number.
            /// </summary>
            public static double clip_grad_norm_(IEnumerable<Parameter> tensors, double max_norm, double norm_type = 2)
            {
                using IDisposable _ = no_grad();
                using var gradients = new Gradients(tensors);
                double total = gradients.Norm(norm_type);
                double factor = max_norm / (total + 1e-6);
                if (factor < 1 || double.IsNaN(factor)) gradients.Scale(factor);
                return total;
            }

            public static void clip_grad_value_(IEnumerable<Parameter> tensors, double clip_value)
            {
                using IDisposable _ = no_grad();
                using var gradients = new Gradients(tensors);
                gradients.Clamp(clip_value);
            }

            /// <summary>The gradients of some parameters, by type and device, since only those of one kind go into one call.</summary>
            private sealed class Gradients : IDisposable
            {
                private readonly List<Tensor[]> _kinds;

                internal Gradients(IEnumerable<Parameter> parameters)
                {
                    List<Tensor> all = [.. parameters.Select(p => p.grad).Where(g => g is not null)];
                    _kinds = [.. all.GroupBy(g => (g.dtype, g.device.type, g.device.index), (_, kind) => kind.ToArray())];
                }

                internal double Norm(double order)
                {
                    double[] norms = [.. _kinds.Select(kind => Norm(kind, order))];
                    return norms.Length switch
                    {
                        0 => 0,
                        1 => norms[0],
                        _ when double.IsInfinity(order) => norms.Max(),
                        _ => Math.Pow(norms.Sum(n => Math.Pow(n, order)), 1 / order),
                    };
                }

                internal void Scale(double factor)
                {
                    foreach (Tensor[] kind in _kinds) Ops.Run("_foreach_mul_.Scalar", kind, factor);
                }

                internal void Clamp(double limit)
                {
                    foreach (Tensor gradient in _kinds.SelectMany(k => k)) Ops.InPlace("clamp_", gradient, -limit, limit);
                }

                public void Dispose()
                {
                    foreach (Tensor gradient in _kinds.SelectMany(k => k)) gradient.Dispose();
                }

                private static double Norm(Tensor[] kind, double order)
                {
                    Tensor[] norms = Ops.Tensors("_foreach_norm.Scalar", kind, order);
                    try
                    {
                        using Tensor together = Ops.Tensor("stack", norms);
                        using Tensor total = Ops.Tensor("linalg_vector_norm", together, order, Argument.None, false, ScalarType.Float64);
                        return BitConverter.Int64BitsToDouble(Ops.Bits("item", total));
                    }
                    finally
                    {
                        foreach (Tensor norm in norms) norm.Dispose();
                    }
                }
            }
        }
    }
}
