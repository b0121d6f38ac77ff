using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Writes libtorch's own file of one tensor.</summary>
    public static void save(Tensor t, string location) => t.save(location);

    public static Tensor load(string location) => Tensor.load(location);

    public partial class Tensor
    {
        public void save(string location) => Native.Check(Native.st_tensor_save(this, location));

        public static Tensor load(string location) => Wrap(Native.Check(Native.st_tensor_load(location)));

        /// <summary>Reads TorchSharp's format; closes the stream.</summary>
        public static Tensor Load(Stream stream)
        {
            using var reader = new BinaryReader(stream);
            return Load(reader);
        }

        public static Tensor Load(string location)
        {
            using FileStream stream = File.OpenRead(location);
            return Load(stream);
        }

        public static Tensor Load(BinaryReader reader) => TensorExtensionMethods.Load(reader);

        public void WriteBytesToStream(Stream stream, int bufferSize = 1024)
        {
            if (device_type == DeviceType.CPU)
            {
                Transfer(this, bytes => stream.Write(bytes));
                return;
            }
            using Tensor here = Ops.Tensor("to.device", this, CPU, dtype);
            Transfer(here, bytes => stream.Write(bytes));
        }

        public void ReadBytesFromStream(Stream stream, int bufferSize = 1024)
        {
            if (device_type == DeviceType.CPU)
            {
                Transfer(this, bytes => stream.ReadExactly(bytes));
                return;
            }
            using IDisposable _ = no_grad();
            using Tensor here = Ops.Tensor("empty_like", this, dtype, Argument.Default, CPU);
            Transfer(here, bytes => stream.ReadExactly(bytes));
            Ops.InPlace("copy_", this, here);
        }

        private delegate void Move(Span<byte> bytes);

        // In pieces, since a span ends at two gigabytes.
        private static unsafe void Transfer(Tensor tensor, Move move)
        {
            const int Piece = 1 << 24;
            if (!tensor.is_contiguous()) throw new InvalidOperationException("Bytes() called on non-contiguous tensor.");
            long count = tensor.numel() * tensor.element_size();
            if (count == 0) return;
            var data = (byte*)Native.Check(Native.st_tensor_data(tensor));
            for (long done = 0; done < count; done += Piece) move(new Span<byte>(data + done, (int)Math.Min(Piece, count - done)));
            GC.KeepAlive(tensor);
        }
    }
}
