using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp.Interop;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TorchSharp;

/// <summary>
/// Applies custom functions. The forward runs in managed code with the gradient mode off; then one native call makes a graph node around its outputs.
/// The node owns the context (by a GCHandle) and calls back for its backward, on whatever thread autograd runs it: on CUDA that is autograd's own.
/// </summary>
internal static unsafe class FunctionCall
{
    internal static List<Tensor> Apply(AutogradContext context, object[] inputs, Func<AutogradContext, object[], List<Tensor>> forward)
    {
        HashSet<Tensor> made = DisposeScopeManager.BeginRecording(out HashSet<Tensor> before);
        List<Tensor> raw;
        try
        {
            using IDisposable _ = no_grad();
            raw = forward(context, inputs);
        }
        finally
        {
            DisposeScopeManager.EndRecording(before);
        }
        if (raw is null || raw.Exists(t => t is null)) throw new InvalidOperationException($"{context.Name}.forward returned null where a tensor is due.");

        List<Tensor> outputs = Connect(context, inputs, raw);

        // The new handles replace those of the forward. A tensor that the forward did not make itself (an input, a field) stays the caller's, and so
        // does one that the context keeps.
        foreach (Tensor tensor in raw)
            if (made.Contains(tensor) && !context.Keeps(tensor)) tensor.Dispose();
        return outputs;
    }

    private static List<Tensor> Connect(AutogradContext context, object[] inputs, List<Tensor> raw)
    {
        IntPtr[] of = [.. inputs.Select(i => i is Tensor { IsInvalid: false } t ? t.Handle : IntPtr.Zero)];
        IntPtr[] results = Handles(raw), constant = Handles(Present(context.NotDifferentiable)), dirty = Handles(Present(context.Dirty)), saved = Handles(context.ToSave);
        var wrapped = new IntPtr[raw.Count];
        byte[] name = System.Text.Encoding.UTF8.GetBytes(context.Name + "\0");
        GCHandle state = GCHandle.Alloc(context);
        IntPtr node = IntPtr.Zero;
        try
        {
            fixed (IntPtr* i = of, o = results, n = constant, d = dirty, s = saved, w = wrapped)
            fixed (byte* label = name)
            {
                Native.Check(Native.st_function_apply(
                    i, of.Length, o, results.Length, n, constant.Length, d, dirty.Length, s, saved.Length, context.MaterializeGrads ? 1 : 0, label,
                    &Backward, &Release, GCHandle.ToIntPtr(state), w, out node));
            }
        }
        finally
        {
            if (node == IntPtr.Zero) state.Free(); // nothing requires a gradient, or it failed: no node took it over
        }
        if (node != IntPtr.Zero) context.Attach(node);
        GC.KeepAlive(inputs);
        GC.KeepAlive(raw);
        return [.. wrapped.Select(Result)];
    }

    private static List<Tensor> Present(List<Tensor> tensors) => tensors.FindAll(t => t is not null);

    private static IntPtr[] Handles(List<Tensor> tensors) => [.. tensors.Select(t => t is null ? IntPtr.Zero : t.Handle)];

    // The package makes an empty tensor like every output beside the output itself. Here it is only counted, so that statistics agree.
    private static Tensor Result(IntPtr handle)
    {
        DisposeScopeManager.CountTransient();
        return Tensor.Wrap(handle);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static IntPtr Backward(IntPtr state, IntPtr* gradients, int count, IntPtr* outputs, int outputsCount)
    {
        try
        {
            // All that the user's backward makes dies with this scope; what it returns goes on by a handle of its own.
            using DisposeScope scope = NewDisposeScope();
            var given = new List<Tensor>(count);
            for (int i = 0; i < count; i++) given.Add(Gradient(gradients[i]));
            var context = (AutogradContext)GCHandle.FromIntPtr(state).Target;
            List<Tensor> returned = context.Backward(context, given);
            if (returned is null || returned.Count != outputsCount)
            {
                throw new InvalidOperationException(
                    $"returned {returned?.Count ?? 0} gradients for {outputsCount} arguments of apply; give one for each, null for those without.");
            }
            for (int i = 0; i < outputsCount; i++)
                if (returned[i] is { IsInvalid: false } gradient) outputs[i] = Native.st_tensor_share(gradient);
            return IntPtr.Zero;
        }
        catch (Exception e) // must not pass into native code: that would end the process
        {
            return ManagedFailures.Keep(e);
        }
    }

    // Without materialisation an output that was not used has no gradient: an invalid tensor, as in the package.
    private static Tensor Gradient(IntPtr handle)
    {
        Tensor gradient = Tensor.Wrap(handle);
        if (Native.st_tensor_defined(handle) == 0) gradient.Dispose();
        return gradient;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Release(IntPtr state)
    {
        GCHandle handle = GCHandle.FromIntPtr(state);
        ((AutogradContext)handle.Target).Dispose();
        handle.Free();
    }
}
