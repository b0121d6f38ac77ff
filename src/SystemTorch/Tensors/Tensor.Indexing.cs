using System.Runtime.CompilerServices;
using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        [IndexerName("TensorItems")]
        public Tensor this[params TensorIndex[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[params Tensor[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[params long[] indices]
        {
            get => Indexing.Get(this, Places(indices));
            set => Indexing.Set(this, Places(indices), value);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1]
        {
            get => Indexing.Get(this, [i1]);
            set => Indexing.Set(this, [i1], value);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2]
        {
            get => Indexing.Get(this, [i1, i2]);
            set => Indexing.Set(this, [i1, i2], value);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3]
        {
            get => Indexing.Get(this, [i1, i2, i3]);
            set => Indexing.Set(this, [i1, i2, i3], value);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4]
        {
            get => Indexing.Get(this, [i1, i2, i3, i4]);
            set => Indexing.Set(this, [i1, i2, i3, i4], value);
        }

        public Tensor index(params TensorIndex[] indices) => Indexing.Get(this, indices);

        public Tensor index(params Tensor[] indices) => Indexing.Get(this, Places(indices));

        public Tensor index_put_(Tensor value, params TensorIndex[] indices) => Indexing.Set(this, indices, value);

        public Tensor index_put_(Tensor value, params Tensor[] indices) => Indexing.Set(this, Places(indices), value);

        public Tensor index_put_(Tensor value, TensorIndex[] indices, bool accumulate = false) => Indexing.Set(this, indices, value, accumulate);

        public Tensor index_put_(Tensor value, Tensor[] indices, bool accumulate = false) => Indexing.Set(this, Places(indices), value, accumulate);

        public Tensor index_put_(Scalar value, params TensorIndex[] indices) => PutScalar(value, indices);

        public Tensor index_put_(Scalar value, params Tensor[] indices) => PutScalar(value, Places(indices));

        private Tensor PutScalar(Scalar value, TensorIndex[] places)
        {
            using Tensor one = full([], value, dtype, device);
            return Indexing.Set(this, places, one);
        }

        private static TensorIndex[] Places(long[] indices) => Array.ConvertAll(indices, i => (TensorIndex)i);

        private static TensorIndex[] Places(Tensor[] indices) => Array.ConvertAll(indices, i => i is null ? TensorIndex.Colon : TensorIndex.Tensor(i));
    }
}
