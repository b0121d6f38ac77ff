using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>A tensor that modules list among their parameters. Making one empties the tensor it is made of.</summary>
    public class Parameter : Tensor
    {
        public Parameter(Tensor data, bool requires_grad = true)
            : base(data)
        {
            // An integer tensor cannot require a gradient, and says so.
            if (requires_grad != this.requires_grad) this.requires_grad = requires_grad;
        }

        /// <summary>A further wrapper of the tensor behind a native handle, as it is.</summary>
        internal Parameter(IntPtr handle)
            : base(handle)
        {
        }
    }
}

namespace TorchSharp
{
    public static partial class TensorExtensionMethods
    {
        public static Modules.Parameter AsParameter(this Tensor tensor) => new(tensor);
    }

    public static partial class torch
    {
        public static partial class nn
        {
            public static Modules.Parameter Parameter(Tensor data, bool requires_grad = true) => new(data, requires_grad);
        }
    }
}
