using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public ScalarType dtype => (ScalarType)Native.Check(Native.st_tensor_dtype(this));

        public Device device => Device.Unpack(Native.st_tensor_device(this));

        public DeviceType device_type => device.type;

        public int device_index => device.index;

        public bool is_cuda => device_type == DeviceType.CUDA;

        public bool is_meta => device_type == DeviceType.META;

        public bool is_sparse => Native.Check(Native.st_tensor_layout(this)) != 0;

        public long Dimensions => Native.Check(Native.st_tensor_dim(this));

        public long ndim => Dimensions;

        public long NumberOfElements => Native.Check(Native.st_tensor_numel(this));

        public long ElementSize => Native.Check(Native.st_tensor_element_size(this));

        public unsafe long[] shape
        {
            get
            {
                var sizes = new long[Dimensions];
                fixed (long* target = sizes) Native.Check(Native.st_tensor_sizes(this, target));
                return sizes;
            }
        }

        public bool requires_grad
        {
            get => Native.Check(Native.st_requires_grad(this)) != 0;
            set => Native.Check(Native.st_set_requires_grad(this, value ? 1 : 0));
        }

        public bool is_leaf => Native.Check(Native.st_is_leaf(this)) != 0;

        public long dim() => Dimensions;

        public long numel() => NumberOfElements;

        public long element_size() => ElementSize;

        public long size(int dim)
        {
            long[] sizes = shape;
            int at = dim < 0 ? dim + sizes.Length : dim;
            return (uint)at < (uint)sizes.Length ? sizes[at] : Ops.Bits("size.int", this, dim); // fails with libtorch's text
        }

        public long[] size() => shape;

        public unsafe long[] stride()
        {
            var strides = new long[Dimensions];
            fixed (long* target = strides) Native.Check(Native.st_tensor_strides(this, target));
            return strides;
        }

        public long stride(int dim) => Ops.Bits("stride.int", this, dim);

        public long storage_offset() => Native.Check(Native.st_tensor_storage_offset(this));

        public bool is_contiguous() => Native.Check(Native.st_tensor_is_contiguous(this, 0)) != 0;

        public bool is_cpu() => device_type == DeviceType.CPU;

        public bool is_floating_point() => torch.is_floating_point(dtype);

        public bool is_complex() => torch.is_complex(dtype);

        public bool is_integral() => torch.is_integral(dtype);
    }
}
