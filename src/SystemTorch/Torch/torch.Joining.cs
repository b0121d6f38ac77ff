using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static Tensor cat(Tensor[] tensors, long dim = 0)
    {
        if (tensors.Length == 0) throw new ArgumentException(nameof(tensors)); // the message is the package's
        return Ops.Tensor("cat", tensors, dim);
    }

    public static Tensor cat(IList<Tensor> tensors, long dim = 0) => cat(tensors as Tensor[] ?? [.. tensors], dim);

    public static Tensor cat(ReadOnlySpan<Tensor> tensors, long dim = 0) => cat(tensors.ToArray(), dim);

    public static Tensor concat(Tensor[] tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor concat(IList<Tensor> tensors, long dim = 0) => cat(tensors as Tensor[] ?? [.. tensors], dim);

    public static Tensor concat(ReadOnlySpan<Tensor> tensors, long dim = 0) => cat(tensors.ToArray(), dim);

    public static Tensor stack(IEnumerable<Tensor> tensors, long dim = 0) => Ops.Tensor("stack", tensors as Tensor[] ?? [.. tensors], dim);

    public static Tensor hstack(params Tensor[] tensors) => Ops.Tensor("hstack", tensors);

    public static Tensor hstack(IList<Tensor> tensors) => Ops.Tensor("hstack", tensors as Tensor[] ?? [.. tensors]);

    public static Tensor vstack(Tensor[] tensors) => Ops.Tensor("vstack", tensors);

    public static Tensor vstack(IList<Tensor> tensors) => Ops.Tensor("vstack", tensors as Tensor[] ?? [.. tensors]);
}
