using System.Runtime.CompilerServices;
using TorchSharp.Interop;
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public unsafe T item<T>()
            where T : unmanaged
        {
            if (NumberOfElements != 1) throw new ArgumentException("Number of elements in the tensor must be 1");
            ScalarTypes.Require<T>(dtype);
            if (is_cpu()) return ReadAt<T>(0);
            using RawTensor here = Ops.Raw("to.dtype_layout", this, Argument.None, Argument.Default, CPU);
            return Unsafe.ReadUnaligned<T>((void*)Native.Check(Native.st_tensor_data(here.Handle)));
        }

        public Scalar ToScalar() => Scalar.Of(dtype, Ops.Bits("item", this));

        public TensorAccessor<T> data<T>()
            where T : unmanaged
        {
            ScalarTypes.Require<T>(dtype);
            RequireCpu();
            return new TensorAccessor<T>(this);
        }

        /// <summary>The memory of a contiguous tensor on the CPU. It lives only as long as a tensor on it does.</summary>
        public unsafe Span<byte> bytes
        {
            get
            {
                RequireCpu();
                if (!is_contiguous()) throw new InvalidOperationException("Bytes() called on non-contiguous tensor.");
                long count = checked(NumberOfElements * ElementSize);
                if (count == 0) return [];
                if (count > int.MaxValue) throw new InvalidOperationException($"the tensor has {count} bytes, and a span at most {int.MaxValue}");
                return new Span<byte>((void*)Native.Check(Native.st_tensor_data(this)), (int)count);
            }
            set
            {
                RequireCpu();
                Span<byte> target = bytes;
                if (target.Length != value.Length) throw new ArgumentException("Mismatched data sizes in SetBytes().");
                value.CopyTo(target);
            }
        }

        public bool ReadCpuBool(long i) => ReadCpuValue<bool>(i);

        public byte ReadCpuByte(long i) => ReadCpuValue<byte>(i);

        public sbyte ReadCpuSByte(long i) => ReadCpuValue<sbyte>(i);

        public short ReadCpuInt16(long i) => ReadCpuValue<short>(i);

        public int ReadCpuInt32(long i) => ReadCpuValue<int>(i);

        public long ReadCpuInt64(long i) => ReadCpuValue<long>(i);

        public float ReadCpuFloat16(long i) => (float)ReadCpuValue<Half>(i);

        /// <summary>bfloat16 is the upper half of a float.</summary>
        public float ReadCpuBFloat16(long i) => BitConverter.Int32BitsToSingle(ReadCpuValue<ushort>(i) << 16);

        public float ReadCpuSingle(long i) => ReadCpuValue<float>(i);

        public double ReadCpuDouble(long i) => ReadCpuValue<double>(i);

        /// <summary>The element <paramref name="i"/> of the memory, whatever the strides.</summary>
        public unsafe T ReadCpuValue<T>(long i)
            where T : unmanaged
        {
            RequireCpu();
            if (sizeof(T) != ElementSize) throw new ArgumentException($"{typeof(T).Name} is not compatible with {dtype}");
            ArgumentOutOfRangeException.ThrowIfNegative(i);
            // An expanded tensor has fewer elements in memory than it shows.
            long inMemory = Native.Check(Native.st_tensor_storage_bytes(this)) / sizeof(T) - storage_offset();
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(i, Math.Min(NumberOfElements, inMemory));
            return ReadAt<T>(i);
        }

        private unsafe T ReadAt<T>(long i)
            where T : unmanaged
        {
            T value = Unsafe.ReadUnaligned<T>((T*)Native.Check(Native.st_tensor_data(this)) + i);
            GC.KeepAlive(this); // it holds the memory
            return value;
        }

        private void RequireCpu()
        {
            if (!is_cpu()) throw new InvalidOperationException("Reading data from non-CPU memory is not supported. Move or copy the tensor to the cpu before reading.");
        }
    }
}
