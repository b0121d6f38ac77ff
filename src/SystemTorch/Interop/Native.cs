using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TorchSharp.Interop;

/// <summary>The C interface of native/system_torch.cpp, in its order. What takes a tensor or a generator keeps it alive for the time of the call.</summary>
internal static unsafe partial class Native
{
    private const string Library = "SystemTorch";

#pragma warning disable CA2255 // The CUDA half must be loaded before the first operator is looked up, whoever uses this assembly.
    [ModuleInitializer]
    internal static void Initialize()
    {
        NativeLibrary.SetDllImportResolver(typeof(Native).Assembly, NativeLoader.Resolve);
        st_initialize();
    }
#pragma warning restore CA2255

    /// <summary>Throws what the last failing call on this thread left behind.</summary>
    internal static void ThrowLastError() => throw ManagedFailures.Restore(LastError);

    internal static string LastError => Marshal.PtrToStringUTF8(st_error()) ?? "";

    /// <summary>Checks a status (negative: failed).</summary>
    internal static int Check(int status)
    {
        if (status < 0) ThrowLastError();
        return status;
    }

    /// <summary>Checks a size or count (negative: failed).</summary>
    internal static long Check(long value)
    {
        if (value < 0) ThrowLastError();
        return value;
    }

    /// <summary>Checks a pointer (null: failed).</summary>
    internal static IntPtr Check(IntPtr pointer)
    {
        if (pointer == IntPtr.Zero) ThrowLastError();
        return pointer;
    }

    [LibraryImport(Library)] internal static partial IntPtr st_error();
    [LibraryImport(Library)] internal static partial IntPtr st_version();
    [LibraryImport(Library)] internal static partial void st_initialize();

    [LibraryImport(Library)] internal static partial long st_live_handles();
    [LibraryImport(Library)] internal static partial void st_count_allocations(int on);
    [LibraryImport(Library)] internal static partial long st_allocated_now();
    [LibraryImport(Library)] internal static partial long st_allocated_peak();
    [LibraryImport(Library)] internal static partial void st_reset_peak();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)] internal static partial IntPtr st_operator(string name, string overload);
    [LibraryImport(Library)] internal static partial NativeValue* st_call(IntPtr op, NativeValue* arguments, int count, out int resultsCount);
    [LibraryImport(Library)] internal static partial NativeValue* st_call_widened(IntPtr op, NativeValue* arguments, int count, int types, out int resultsCount);

    [LibraryImport(Library)] internal static partial void st_tensor_delete(IntPtr tensor);
    [LibraryImport(Library)] internal static partial IntPtr st_tensor_share(Tensor tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int st_tensor_defined(IntPtr tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long st_tensor_dim(Tensor tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long st_tensor_dim(IntPtr tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int st_tensor_sizes(Tensor tensor, long* sizes);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int st_tensor_strides(Tensor tensor, long* strides);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long st_tensor_numel(Tensor tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long st_tensor_element_size(Tensor tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long st_tensor_storage_offset(Tensor tensor);
    [LibraryImport(Library)] internal static partial long st_tensor_storage_bytes(Tensor tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int st_tensor_dtype(Tensor tensor);
    [LibraryImport(Library)] internal static partial int st_tensor_layout(Tensor tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long st_tensor_device(Tensor tensor);
    [LibraryImport(Library)] internal static partial IntPtr st_tensor_data(Tensor tensor);
    [LibraryImport(Library)] internal static partial IntPtr st_tensor_data(IntPtr tensor);
    [LibraryImport(Library)] internal static partial IntPtr st_tensor_storage(Tensor tensor);
    [LibraryImport(Library)] internal static partial int st_tensor_is_contiguous(Tensor tensor, int format);
    [LibraryImport(Library)]
    internal static partial IntPtr st_tensor_from_blob(
        void* data, long* sizes, int dimensions, int dtype, delegate* unmanaged<IntPtr, void> release, IntPtr state);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)] internal static partial int st_tensor_save(Tensor tensor, string path);
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)] internal static partial IntPtr st_tensor_load(string path);

    [LibraryImport(Library)] internal static partial int st_requires_grad(Tensor tensor);
    [LibraryImport(Library)] internal static partial int st_is_leaf(Tensor tensor);
    [LibraryImport(Library)] internal static partial int st_set_requires_grad(Tensor tensor, int value);
    [LibraryImport(Library)] internal static partial IntPtr st_grad(Tensor tensor);
    [LibraryImport(Library)] internal static partial int st_set_grad(Tensor tensor, Tensor gradient);
    [LibraryImport(Library)]
    internal static partial int st_backward(
        IntPtr* tensors, IntPtr* gradients, int count, int retain, int create, IntPtr* inputs, int inputsCount);
    [LibraryImport(Library)]
    internal static partial int st_gradients(
        IntPtr* outputs, int outputsCount, IntPtr* inputs, int inputsCount, IntPtr* gradients, int retain, int create, int allowUnused, IntPtr* answers);

    [LibraryImport(Library), SuppressGCTransition] internal static partial int st_grad_enabled();
    [LibraryImport(Library), SuppressGCTransition] internal static partial void st_set_grad_enabled(int on);
    [LibraryImport(Library)] internal static partial int st_inference_enabled();
    [LibraryImport(Library)] internal static partial IntPtr st_inference_enter(int on);
    [LibraryImport(Library)] internal static partial void st_inference_leave(IntPtr guard);

    [LibraryImport(Library)]
    internal static partial int st_function_apply(
        IntPtr* handles, int count, IntPtr* outputs, int outputsCount, IntPtr* notDifferentiable, int notDifferentiableCount,
        IntPtr* dirty, int dirtyCount, IntPtr* saved, int savedCount, int materialize, byte* name,
        delegate* unmanaged[Cdecl]<IntPtr, IntPtr*, int, IntPtr*, int, IntPtr> backward, delegate* unmanaged[Cdecl]<IntPtr, void> release, IntPtr state,
        IntPtr* wrapped, out IntPtr node);
    [LibraryImport(Library)] internal static partial int st_function_saved(IntPtr node, IntPtr* answers);

    [LibraryImport(Library)] internal static partial int st_default_dtype();
    [LibraryImport(Library)] internal static partial int st_set_default_dtype(int dtype);
    [LibraryImport(Library)] internal static partial int st_threads();
    [LibraryImport(Library)] internal static partial int st_set_threads(int count);
    [LibraryImport(Library)] internal static partial int st_interop_threads();

    [LibraryImport(Library)] internal static partial int st_cuda_available();
    [LibraryImport(Library)] internal static partial int st_cuda_count();
    [LibraryImport(Library)] internal static partial int st_cuda_synchronize(long index);
    [LibraryImport(Library)] internal static partial int st_cuda_allow_tf32(int on);

    [LibraryImport(Library)] internal static partial int st_manual_seed(ulong seed);
    [LibraryImport(Library)] internal static partial IntPtr st_generator_new(ulong seed, long device);
    [LibraryImport(Library)] internal static partial IntPtr st_generator_default(long device);
    [LibraryImport(Library)] internal static partial void st_generator_delete(IntPtr generator);
    [LibraryImport(Library)] internal static partial int st_generator_seed(Generator generator, ulong seed);
    [LibraryImport(Library)] internal static partial ulong st_generator_fresh_seed(Generator generator);
    [LibraryImport(Library)] internal static partial ulong st_generator_initial_seed(Generator generator);
    [LibraryImport(Library)] internal static partial IntPtr st_generator_state(Generator generator);
    [LibraryImport(Library)] internal static partial int st_generator_set_state(Generator generator, Tensor state);
}
