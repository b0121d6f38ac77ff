using System.Runtime.InteropServices.Marshalling;
using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A source of random numbers.</summary>
    [NativeMarshalling(typeof(GeneratorHandle))]
    public class Generator : IDisposable
    {
        private IntPtr _handle;

        public Generator(ulong seed = 0, Device device = null)
            : this(Native.Check(Native.st_generator_new(seed, (device ?? CPU).Packed)), device ?? CPU)
        {
        }

        private Generator(IntPtr handle, Device device)
        {
            _handle = handle;
            this.device = device;
        }

        ~Generator() => Dispose(false);

        public static Generator Default => DefaultOf(CPU);

        public IntPtr Handle => _handle != IntPtr.Zero ? _handle : throw new ObjectDisposedException(nameof(Generator));

        public Device device { get; }

        public Generator manual_seed(long seed)
        {
            Native.Check(Native.st_generator_seed(this, (ulong)seed));
            return this;
        }

        public long seed() => (long)Native.st_generator_fresh_seed(this);

        public long initial_seed() => (long)Native.st_generator_initial_seed(this);

        public Tensor get_state() => Tensor.Wrap(Native.Check(Native.st_generator_state(this)));

        public void set_state(Tensor value)
        {
            ArgumentNullException.ThrowIfNull(value);
            Native.Check(Native.st_generator_set_state(this, value));
        }

        internal static Generator DefaultOf(Device device) => new(Native.Check(Native.st_generator_default(device.Packed)), device);

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (_handle != IntPtr.Zero) Native.st_generator_delete(_handle);
            _handle = IntPtr.Zero;
        }
    }
}
