using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor sum(ScalarType? type = null) => Ops.Tensor("sum", this, type);

        public Tensor sum(long dim, bool keepdim = false, ScalarType? type = null) => Ops.Tensor("sum.dim_IntList", this, dim, keepdim, type);

        public Tensor sum(long dim0, long dim1, bool keepdim = false, ScalarType? type = null) => sum(new[] { dim0, dim1 }, keepdim, type);

        public Tensor sum(long dim0, long dim1, long dim2, bool keepdim = false, ScalarType? type = null) => sum(new[] { dim0, dim1, dim2 }, keepdim, type);

        public Tensor sum(long[] dim, bool keepdim = false, ScalarType? type = null) => Ops.Tensor("sum.dim_IntList", this, dim, keepdim, type);

        public Tensor sum(ReadOnlySpan<long> dim, bool keepdim = false, ScalarType? type = null) => sum(dim.ToArray(), keepdim, type);

        public Tensor mean() => Ops.Tensor("mean", this);

        public Tensor mean(long[] dimensions, bool keepdim = false, ScalarType? type = null) => Ops.Tensor("mean.dim", this, dimensions, keepdim, type);

        public Tensor prod(ScalarType? type = null) => Ops.Tensor("prod", this, type);

        public Tensor prod(long dim, bool keepdim = false, ScalarType? type = null) => Ops.Tensor("prod.dim_int", this, dim, keepdim, type);

        public Tensor cumsum(long dim, ScalarType? type = null) => Ops.Tensor("cumsum", this, dim, type);

        public Tensor cumprod(long dim, ScalarType? type = null) => Ops.Tensor("cumprod", this, dim, type);

        public Tensor logsumexp(long dim, bool keepdim = false) => Ops.Tensor("logsumexp", this, dim, keepdim);

        public Tensor std(bool unbiased = true) => Ops.Tensor("std", this, unbiased);

        public Tensor std(long dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            Typed(Ops.Tensor("std.dim", this, dim, unbiased, keepdim), type);

        public Tensor std(long[] dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            Typed(Ops.Tensor("std.dim", this, dimensions, unbiased, keepdim), type);

        public Tensor std(ReadOnlySpan<long> dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            std(dimensions.ToArray(), unbiased, keepdim, type);

        public Tensor var(bool unbiased = true) => Ops.Tensor("var", this, unbiased);

        public Tensor var(long dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            Typed(Ops.Tensor("var.dim", this, dim, unbiased, keepdim), type);

        public Tensor var(long[] dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            Typed(Ops.Tensor("var.dim", this, dimensions, unbiased, keepdim), type);

        public Tensor var(ReadOnlySpan<long> dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            var(dimensions.ToArray(), unbiased, keepdim, type);

        public Tensor norm(float p = 2f) => Ops.Tensor("norm.Scalar", this, p);

        public Tensor norm(int dim, bool keepdim = false, float p = 2f) => Ops.Tensor("norm.ScalarOpt_dim", this, p, dim, keepdim);

        public Tensor all() => Ops.Tensor("all", this);

        public Tensor all(long dim, bool keepdim = false) => Ops.Tensor("all.dim", this, dim, keepdim);

        public Tensor any() => Ops.Tensor("any", this);

        public Tensor any(long dim, bool keepdim = false) => Ops.Tensor("any.dim", this, dim, keepdim);

        public Tensor count_nonzero(long[] dims = null) => dims is null ? Ops.Tensor("count_nonzero", this) : Ops.Tensor("count_nonzero.dim_IntList", this, dims);

        private static Tensor Typed(Tensor result, ScalarType? type)
        {
            if (type is not ScalarType wanted) return result;
            using (result) return Ops.Tensor("to.dtype", result, wanted);
        }
    }
}
