using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>The gradient, in a new handle at every call; null when there is none.</summary>
        public Tensor grad
        {
            get
            {
                IntPtr gradient = Native.st_grad(this);
                if (gradient != IntPtr.Zero) return Wrap(gradient);
                if (Native.LastError.Length > 0) Native.ThrowLastError();
                return null;
            }
            set => Native.Check(Native.st_set_grad(this, value));
        }

        public Tensor requires_grad_(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        public Tensor with_requires_grad(bool requires_grad = true) => requires_grad_(requires_grad);

        public void backward() => autograd.backward([this]);

        public void backward(IList<Tensor> grad_tensors = null, bool retain_graph = false, bool create_graph = false, IList<Tensor> inputs = null) =>
            autograd.backward([this], grad_tensors, retain_graph, create_graph, inputs);

        public void retain_grad() => Ops.Run("retain_grad", this);

        public Tensor detach() => Ops.Tensor("detach", this);

        public Tensor detach_() => Ops.InPlace("detach_", this);
    }
}
