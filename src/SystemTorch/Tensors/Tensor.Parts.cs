using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor contiguous() => Ops.Tensor("contiguous", this);

        public Tensor clone() => Ops.Tensor("clone", this);

        public Tensor alias() => Ops.Tensor("alias", this);

        public Tensor copy_(Tensor source, bool nonBlocking = false) => Ops.InPlace("copy_", this, source, nonBlocking);

        public Tensor select(long dim, long index) => Ops.Tensor("select.int", this, dim, index);

        public Tensor narrow(long dim, long start, long length) => Ops.Tensor("narrow", this, dim, start, length);

        public Tensor slice(long dim, long start, long finish, long step) => Ops.Tensor("slice.Tensor", this, dim, start, finish, step);

        public Tensor[] split(long size, int dim = 0) => Ops.Tensors("split.Tensor", this, size, dim);

        public Tensor[] split(long[] sizes, long dim = 0) => Ops.Tensors("split_with_sizes", this, sizes, dim);

        public Tensor[] split(params long[] sizes) => split(sizes, 0L);

        public Tensor[] split(ReadOnlySpan<long> sizes, long dim = 0) => split(sizes.ToArray(), dim);

        public Tensor[] tensor_split(long size, long dim = 0) => Ops.Tensors("tensor_split.sections", this, size, dim);

        public Tensor[] tensor_split(long[] sizes, long dim = 0) => Ops.Tensors("tensor_split.indices", this, sizes, dim);

        public Tensor[] chunk(long chunks, long dim = 0) => Ops.Tensors("chunk", this, chunks, dim);

        public Tensor[] unbind(long dimension = 0) => Ops.Tensors("unbind.int", this, dimension);
    }
}
