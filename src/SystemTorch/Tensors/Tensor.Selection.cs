using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor where(Tensor condition, Tensor y) => Ops.Tensor("where.self", condition, this, y);

        public Tensor gather(long dim, Tensor index) => Ops.Tensor("gather", this, dim, index);

        public Tensor scatter(long dim, Tensor index, Tensor src) => Ops.Tensor("scatter.src", this, dim, index, src);

        public Tensor scatter_(long dim, Tensor index, Tensor src) => Ops.InPlace("scatter_.src", this, dim, index, src);

        public Tensor scatter_add(long dim, Tensor index, Tensor src) => Ops.Tensor("scatter_add", this, dim, index, src);

        public Tensor scatter_add_(long dim, Tensor index, Tensor src) => Ops.InPlace("scatter_add_", this, dim, index, src);

        public Tensor index_select(long dim, Tensor index) => Ops.Tensor("index_select", this, dim, index);

        public Tensor index_add(long dim, Tensor index, Tensor source, Scalar alpha) => Ops.Tensor("index_add", this, dim, index, source, alpha);

        public Tensor index_add_(long dim, Tensor index, Tensor source, Scalar alpha) => Ops.InPlace("index_add_", this, dim, index, source, alpha);

        public Tensor index_copy(long dim, Tensor index, Tensor source) => Ops.Tensor("index_copy", this, dim, index, source);

        public Tensor index_copy_(long dim, Tensor index, Tensor source) => Ops.InPlace("index_copy_", this, dim, index, source);

        public Tensor index_fill(long dim, Tensor index, Scalar value) => Ops.Tensor("index_fill.int_Scalar", this, dim, index, value);

        public Tensor index_fill_(long dim, Tensor index, Scalar value) => Ops.InPlace("index_fill_.int_Scalar", this, dim, index, value);

        public Tensor masked_fill(Tensor mask, Scalar value) => Ops.Tensor("masked_fill.Scalar", this, mask, value);

        public Tensor masked_fill_(Tensor mask, Scalar value) => Ops.InPlace("masked_fill_.Scalar", this, mask, value);

        public Tensor masked_scatter(Tensor mask, Tensor value) => Ops.Tensor("masked_scatter", this, mask, value);

        public Tensor masked_scatter_(Tensor mask, Tensor value) => Ops.InPlace("masked_scatter_", this, mask, value);

        public Tensor masked_select(Tensor mask) => Ops.Tensor("masked_select", this, mask);

        public Tensor nonzero() => Ops.Tensor("nonzero", this);

        public Tensor take(Tensor index) => Ops.Tensor("take", this, index);

        public Tensor take_along_dim(Tensor indices) => Ops.Tensor("take_along_dim", this, indices);

        public Tensor take_along_dim(Tensor indices, long dim) => Ops.Tensor("take_along_dim", this, indices, dim);
    }
}
