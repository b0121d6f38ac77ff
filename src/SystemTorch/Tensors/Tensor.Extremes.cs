using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor max() => Ops.Tensor("max", this);

        public Tensor max(Tensor other) => Ops.Tensor("max.other", this, other);

        public (Tensor values, Tensor indexes) max(long dim, bool keepdim = false) => Ops.Pair("max.dim", this, dim, keepdim);

        public Tensor amax(params long[] dims) => Ops.Tensor("amax", this, dims);

        public Tensor amax(long[] dims, bool keepdim = false, Tensor @out = null) => @out is null
            ? Ops.Tensor("amax", this, dims, keepdim)
            : Ops.Tensor("amax.out", this, dims, keepdim, @out);

        public Tensor amax(ReadOnlySpan<long> dims, bool keepdim = false, Tensor @out = null) => amax(dims.ToArray(), keepdim, @out);

        public Tensor argmax() => Ops.Tensor("argmax", this);

        public Tensor argmax(long dim, bool keepdim = false) => Ops.Tensor("argmax", this, dim, keepdim);

        public Tensor min() => Ops.Tensor("min", this);

        public Tensor min(Tensor other) => Ops.Tensor("min.other", this, other);

        public (Tensor values, Tensor indexes) min(long dim, bool keepdim = false) => Ops.Pair("min.dim", this, dim, keepdim);

        public Tensor amin(params long[] dims) => Ops.Tensor("amin", this, dims);

        public Tensor amin(long[] dims, bool keepdim = false, Tensor @out = null) => @out is null
            ? Ops.Tensor("amin", this, dims, keepdim)
            : Ops.Tensor("amin.out", this, dims, keepdim, @out);

        public Tensor amin(ReadOnlySpan<long> dims, bool keepdim = false, Tensor @out = null) => amin(dims.ToArray(), keepdim, @out);

        public Tensor argmin() => Ops.Tensor("argmin", this);

        public Tensor argmin(long dim, bool keepdim = false) => Ops.Tensor("argmin", this, dim, keepdim);

        public Tensor median() => Ops.Tensor("median", this);

        public Tensor quantile(Tensor q, long dim = -1, bool keepdim = false) => Ops.Tensor("quantile", this, q, dim, keepdim);

        public (Tensor values, Tensor indexes) topk(int k, int dim = -1, bool largest = true, bool sorted = true) =>
            Ops.Pair("topk", this, k, dim, largest, sorted);

        public (Tensor Values, Tensor Indices) sort(long dim = -1, bool descending = false, bool stable = false) =>
            Ops.Pair("sort.stable", this, stable, dim, descending);

        public Tensor argsort(long dim = -1, bool descending = false) => Ops.Tensor("argsort", this, dim, descending);

        public Tensor multinomial(long num_samples, bool replacement = false, Generator generator = null) =>
            Ops.Tensor("multinomial", this, num_samples, replacement, generator);

        public Tensor bincount(Tensor weights, long minlength = 0) => Ops.Tensor("bincount", this, weights, minlength);

        public (Tensor output, Tensor inverse_indices, Tensor counts) unique(
            bool sorted = true, bool return_inverse = false, bool return_counts = false, int? dim = null) =>
            Asked(dim is int d
                ? Ops.Triple("unique_dim", this, d, sorted, return_inverse, return_counts)
                : Ops.Triple("_unique2", this, sorted, return_inverse, return_counts), return_inverse, return_counts);

        public (Tensor output, Tensor inverse_indices, Tensor counts) unique_consecutive(
            bool return_inverse = false, bool return_counts = false, int? dim = null) =>
            Asked(Ops.Triple("unique_consecutive", this, return_inverse, return_counts, dim), return_inverse, return_counts);

        // libtorch gives an empty tensor for what was not asked for.
        private static (Tensor, Tensor, Tensor) Asked((Tensor Output, Tensor Inverse, Tensor Counts) found, bool inverse, bool counts)
        {
            if (!inverse) found.Inverse.Dispose();
            if (!counts) found.Counts.Dispose();
            return (found.Output, inverse ? found.Inverse : null, counts ? found.Counts : null);
        }
    }
}
