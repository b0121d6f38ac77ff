using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor T => Ops.Tensor("numpy_T", this);

        public Tensor mT => Ops.Tensor("mT", this);

        public Tensor H => Ops.Tensor("matrix_H", this);

        public Tensor mH => Ops.Tensor("mH", this);

        public Tensor view(params long[] shape) => Ops.Tensor("view", this, shape);

        public Tensor view_as(Tensor other) => Ops.Tensor("view_as", this, other);

        public Tensor reshape(params long[] shape) => Ops.Tensor("reshape", this, shape);

        public Tensor flatten(long start_dim = 0, long end_dim = -1) => Ops.Tensor("flatten.using_ints", this, start_dim, end_dim);

        public Tensor ravel() => Ops.Tensor("ravel", this);

        public Tensor unflatten(long dim, params long[] sizes) => Ops.Tensor("unflatten.int", this, dim, sizes);

        public Tensor squeeze(long? dim = null) => dim is long d ? Ops.Tensor("squeeze.dim", this, d) : Ops.Tensor("squeeze", this);

        public Tensor unsqueeze(long dim) => Ops.Tensor("unsqueeze", this, dim);

        public Tensor squeeze_(long? dim = null) => dim is long d ? Ops.InPlace("squeeze_.dim", this, d) : Ops.InPlace("squeeze_", this);

        public Tensor unsqueeze_(long dim) => Ops.InPlace("unsqueeze_", this, dim);

        public Tensor t() => Ops.Tensor("t", this);

        public Tensor transpose(long dim0, long dim1) => Ops.Tensor("transpose.int", this, dim0, dim1);

        public Tensor transpose_(long dim0, long dim1) => Ops.InPlace("transpose_", this, dim0, dim1);

        public Tensor swapaxes(long dim0, long dim1) => transpose(dim0, dim1);

        public Tensor swapdims(long dim0, long dim1) => transpose(dim0, dim1);

        public Tensor permute(params long[] permutation) => Ops.Tensor("permute", this, permutation);

        public Tensor permute(IEnumerable<long> permutation) => permute(permutation.ToArray());

        public Tensor movedim(long[] source, long[] destination) => Ops.Tensor("movedim.intlist", this, source, destination);

        public Tensor moveaxis(long[] source, long[] destination) => movedim(source, destination);

        public Tensor expand(params long[] sizes) => Ops.Tensor("expand", this, sizes);

        public Tensor expand(long[] sizes, bool isImplicit = false) => Ops.Tensor("expand", this, sizes, isImplicit);

        public Tensor expand(ReadOnlySpan<long> sizes, bool isImplicit = false) => expand(sizes.ToArray(), isImplicit);

        public Tensor expand_as(Tensor other) => Ops.Tensor("expand_as", this, other);

        public Tensor broadcast_to(params long[] shape) => Ops.Tensor("broadcast_to", this, shape);

        public Tensor repeat(params long[] sizes) => Ops.Tensor("repeat", this, sizes);

        public Tensor tile(long[] reps) => Ops.Tensor("tile", this, reps);

        public Tensor repeat_interleave(long repeats, long? dim = null, long? output_size = null) =>
            Ops.Tensor("repeat_interleave.self_int", this, repeats, dim, output_size);

        public Tensor repeat_interleave(Tensor repeats, long? dim = null, long? output_size = null) =>
            Ops.Tensor("repeat_interleave.self_Tensor", this, repeats, dim, output_size);

        public Tensor flip(params long[] dims) => Ops.Tensor("flip", this, dims);

        public Tensor roll(long shifts, long? dims = null) => Ops.Tensor("roll", this, shifts, dims is long d ? d : Argument.Default);

        public Tensor roll(long[] shifts) => Ops.Tensor("roll", this, shifts);

        public Tensor roll(long[] shifts, long[] dims) => Ops.Tensor("roll", this, shifts, dims);

        public Tensor tril(long diagonal = 0) => Ops.Tensor("tril", this, diagonal);

        public Tensor tril_(long diagonal = 0) => Ops.InPlace("tril_", this, diagonal);

        public Tensor triu(long diagonal = 0) => Ops.Tensor("triu", this, diagonal);

        public Tensor triu_(long diagonal = 0) => Ops.InPlace("triu_", this, diagonal);

        public Tensor diagonal(long offset = 0, long dim1 = 0, long dim2 = 1) => Ops.Tensor("diagonal", this, offset, dim1, dim2);

        public Tensor diag(long diagonal = 0) => Ops.Tensor("diag", this, diagonal);

        public Tensor diag_embed(long offset = 0, long dim1 = -2, long dim2 = -1) => Ops.Tensor("diag_embed", this, offset, dim1, dim2);

        public Tensor as_strided(long[] size, long[] strides, long storageOffset = 0) => Ops.Tensor("as_strided", this, size, strides, storageOffset);

        public Tensor unfold(long dimension, long size, long step) => Ops.Tensor("unfold", this, dimension, size, step);
    }
}
