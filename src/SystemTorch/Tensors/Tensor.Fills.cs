using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor normal_(double mean = 0, double std = 1, Generator generator = null) => Ops.InPlace("normal_", this, mean, std, generator);

        public Tensor uniform_(double from, double to, Generator generator = null) => Ops.InPlace("uniform_", this, from, to, generator);

        public Tensor bernoulli(Generator generator = null) => Ops.Tensor("bernoulli", this, generator);

        public Tensor bernoulli_(double p = 0.5, Generator generator = null) => Ops.InPlace("bernoulli_.float", this, p, generator);

        public Tensor bernoulli_(Tensor p, Generator generator = null) => Ops.InPlace("bernoulli_.Tensor", this, p, generator);

        public Tensor exponential_(double lambda = 1, Generator generator = null) => Ops.InPlace("exponential_", this, lambda, generator);

        public bool is_nonzero() => Ops.Bool("is_nonzero", this);

        public Tensor pin_memory() => Ops.Tensor("pin_memory", this);

        public bool is_pinned() => Ops.Bool("is_pinned", this);
    }
}
