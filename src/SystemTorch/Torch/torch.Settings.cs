using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static ScalarType get_default_dtype() => (ScalarType)Native.Check(Native.st_default_dtype());

    public static void set_default_dtype(ScalarType dtype)
    {
        if (!is_floating_point(dtype)) throw new ArgumentException("only floating-point types are supported as the default type");
        Native.Check(Native.st_set_default_dtype((int)dtype));
    }

    public static void set_default_tensor_type(Tensor t)
    {
        set_default_dtype(t.dtype);
        set_default_device(t.device);
    }

    public static int get_num_threads() => Native.st_threads();

    public static void set_num_threads(int num) => Native.Check(Native.st_set_threads(num));

    public static int get_num_interop_threads() => Native.st_interop_threads();
}
