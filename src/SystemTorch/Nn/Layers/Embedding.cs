using System.Runtime.InteropServices;
using TorchSharp.Interop;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>A table of vectors; a native module in the package, which shows in how its weight behaves.</summary>
    public sealed class Embedding : nn.Module<Tensor, Tensor>
    {
        private readonly long _paddingIndex;
        private readonly double? _maxNorm;
        private readonly double _normType;
        private readonly bool _scaleByFrequency;
        private readonly bool _sparse;

        internal Embedding(Tensor weight, bool trainable, long? padding_idx, double? max_norm, double norm_type, bool scale_grad_by_freq, bool sparse)
            : base("torch::nn::EmbeddingImpl")
        {
            long rows = weight.shape[0];
            _paddingIndex = padding_idx is long index ? (index < 0 ? index + rows : index) : -1;
            if (padding_idx is not null && (_paddingIndex < 0 || _paddingIndex >= rows))
                throw new ExternalException("Padding_idx must be within num_embeddings");
            _maxNorm = max_norm;
            _normType = norm_type;
            _scaleByFrequency = scale_grad_by_freq;
            _sparse = sparse;
            RegisterNative("weight", weight, trainable);
        }

        /// <summary>A new wrapper at every get. Setting leaves the old one alone.</summary>
        public Parameter weight
        {
            get => WrapNative("weight");
            set
            {
                SetNative("weight", value);
                ConditionallyRegisterParameter("weight", value);
            }
        }

        public override Tensor forward(Tensor input)
        {
            Tensor table = Natively("weight") ?? throw new InvalidOperationException("Tensor invalid -- empty handle.");
            if (_maxNorm is double norm)
            {
                using IDisposable _ = no_grad();
                using Tensor flat = Ops.Tensor("reshape", input, new long[] { -1 });
                Ops.InPlace("embedding_renorm_", table, flat, norm, _normType);
            }
            return Ops.Tensor("embedding", table, input, _paddingIndex, _scaleByFrequency, _sparse);
        }
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static Embedding Embedding(
                long num_embeddings, long embedding_dims, long? padding_idx = null, double? max_norm = null, double norm_type = 2.0,
                bool scale_grad_by_freq = false, bool sparse = false, Device device = null, ScalarType? dtype = null)
            {
                Tensor weight = Initial.Normal([num_embeddings, embedding_dims], device, dtype);
                if (padding_idx is long index && index < num_embeddings && index >= -num_embeddings)
                {
                    using Tensor row = Interop.Ops.Tensor("select.int", weight, 0, index);
                    Interop.Ops.InPlace("zero_", row);
                }
                return new Embedding(weight, true, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse);
            }

            /// <summary>An embedding over the storage of <paramref name="embeddings"/>.</summary>
            public static Embedding Embedding_from_pretrained(
                Tensor embeddings, bool freeze = true, long? padding_idx = null, double? max_norm = null, double norm_type = 2.0,
                bool scale_grad_by_freq = false, bool sparse = false, Device device = null, ScalarType? dtype = null)
            {
                Tensor weight = Interop.Ops.Tensor("detach", embeddings);
                if (device is not null || dtype is not null)
                {
                    using Tensor before = weight;
                    weight = Interop.Ops.Tensor("to.device", before, device ?? before.device, dtype ?? before.dtype);
                }
                return new Embedding(weight, !freeze, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse);
            }
        }
    }
}
