using System.Runtime.InteropServices.Marshalling;
using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A handle on a native tensor. Disposing it releases the handle; the data live as long as any handle or graph holds them.</summary>
    [NativeMarshalling(typeof(TensorHandle))]
    public partial class Tensor : IDisposable
    {
        private IntPtr _handle;

        /// <summary>Takes over a native handle and enters the current dispose scope.</summary>
        internal Tensor(IntPtr handle)
        {
            _handle = handle;
            DisposeScopeManager.Register(this);
        }

        /// <summary>Takes the native handle and the place in a scope of <paramref name="other"/>, which is left empty. Counts nothing.</summary>
        private protected Tensor(Tensor other)
        {
            _handle = other.Handle;
            other._handle = IntPtr.Zero;
            GC.SuppressFinalize(other);
            other.OwningDisposeScope?.Replace(other, this);
        }

        ~Tensor() => Dispose(false);

        /// <summary>The native handle; throws when there is none any more.</summary>
        public IntPtr Handle => _handle != IntPtr.Zero ? _handle : throw new InvalidOperationException("Tensor invalid -- empty handle.");

        public bool IsInvalid => _handle == IntPtr.Zero;

        internal DisposeScope OwningDisposeScope { get; set; }

        /// <summary>A managed tensor for a native handle that the caller gives up.</summary>
        internal static Tensor Wrap(IntPtr handle) => new(handle);

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            // Of two threads that dispose the same tensor one deletes it.
            IntPtr handle = Interlocked.Exchange(ref _handle, IntPtr.Zero);
            if (handle == IntPtr.Zero) return;
            if (disposing)
            {
                if (OwningDisposeScope is DisposeScope scope) scope.MarkAsDisposed(this);
                else DisposeScopeManager.Tensors.DisposedOutsideScopeCount++;
            }
            Native.st_tensor_delete(handle);
        }

        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter(this);
            return this;
        }

        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope?.Detach(this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(DisposeScope other)
        {
            if (OwningDisposeScope is null) other?.Attach(this);
            else OwningDisposeScope.MoveToOther(other, this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(Tensor other) => MoveToOtherDisposeScope(other.OwningDisposeScope);
    }
}
