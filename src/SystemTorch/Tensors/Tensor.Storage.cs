using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Makes this tensor share the storage, the shape and the strides of another.</summary>
        public Tensor set_(Tensor source) => Ops.InPlace("set_.source_Tensor", this, source);
    }
}
