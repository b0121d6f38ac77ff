using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        // Enters no scope and counts nothing.
        private Tensor(IntPtr handle, bool _) => _handle = handle;

        /// <summary>
        /// A handle outside of all scopes and statistics, such as the hold that the package's native modules have on their tensors.
        /// </summary>
        internal sealed class Held : Tensor
        {
            /// <summary>Another handle on the same tensor object.</summary>
            internal Held(Tensor shared)
                : base(Native.Check(Native.st_tensor_share(shared)), false)
            {
            }

            /// <summary>Takes over the handle.</summary>
            internal Held(RawTensor made)
                : base(made.Handle, false)
            {
            }

            protected override void Dispose(bool disposing) => base.Dispose(false);
        }
    }
}
