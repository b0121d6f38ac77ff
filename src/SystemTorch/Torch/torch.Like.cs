using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static Tensor empty_like(Tensor input, ScalarType? dtype = null, Device device = null, bool requires_grad = false, string[] names = null) =>
        Finished(Ops.Tensor("empty_like", input, dtype, Argument.Default, device), requires_grad, names);

    public static Tensor zeros_like(Tensor input, ScalarType? dtype = null, Device device = null, bool requires_grad = false, string[] names = null) =>
        Finished(Ops.Tensor("zeros_like", input, dtype, Argument.Default, device), requires_grad, names);

    public static Tensor ones_like(Tensor input, ScalarType? dtype = null, Device device = null, bool requires_grad = false, string[] names = null) =>
        Finished(Ops.Tensor("ones_like", input, dtype, Argument.Default, device), requires_grad, names);

    public static Tensor rand_like(Tensor input, ScalarType? dtype = null, Device device = null, bool requires_grad = false) =>
        Finished(Ops.Tensor("rand_like", input, dtype, Argument.Default, device), requires_grad);

    public static Tensor randn_like(Tensor input, ScalarType? dtype = null, Device device = null, bool requires_grad = false) =>
        Finished(Ops.Tensor("randn_like", input, dtype, Argument.Default, device), requires_grad);

    public static Tensor full_like(Tensor input, Scalar value, ScalarType? dtype = null, Device device = null, bool requires_grad = false, string[] names = null) =>
        Finished(Ops.Tensor("full_like", input, value, dtype, Argument.Default, device), requires_grad, names);

    public static Tensor randint_like(Tensor input, long low, long high, ScalarType? dtype = null, Device device = null, bool requires_grad = false) =>
        Finished(Ops.Tensor("randint_like.low_dtype", input, low, high, dtype, Argument.Default, device), requires_grad);
}
