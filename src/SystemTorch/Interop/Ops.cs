using static TorchSharp.torch;

namespace TorchSharp.Interop;

/// <summary>
/// Calls ATen operators by name (<c>"add.Tensor"</c>; the name space aten is understood). Arguments follow the schema; those left out at the end take
/// the schema's defaults. Failures are <see cref="System.Runtime.InteropServices.ExternalException"/> with libtorch's text.
/// </summary>
internal static unsafe class Ops
{
    /// <summary>Whether this libtorch has the operator.</summary>
    internal static bool Exists(string name) => Operator.Exists(name);

    /// <summary>Calls an operator that returns one tensor.</summary>
    internal static Tensor Tensor(string name, params ReadOnlySpan<Argument> arguments)
    {
        IntPtr handle = default;
        Call(name, arguments, new Span<IntPtr>(ref handle));
        return torch.Tensor.Wrap(handle);
    }

    /// <summary>Calls an operator that returns one tensor, which stays inside the calling method.</summary>
    internal static RawTensor Raw(string name, params ReadOnlySpan<Argument> arguments)
    {
        IntPtr handle = default;
        Call(name, arguments, new Span<IntPtr>(ref handle));
        return new RawTensor(handle);
    }

    /// <summary>Calls an operator that changes its first argument, and gives that tensor back.</summary>
    internal static Tensor InPlace(string name, Tensor self, params ReadOnlySpan<Argument> others)
    {
        IntPtr handle = default;
        var arguments = new ArgumentList(self, others);
        Call(name, arguments.Span, new Span<IntPtr>(ref handle));
        Native.st_tensor_delete(handle);
        return self;
    }

    /// <summary>Calls an operator that returns two tensors.</summary>
    internal static (Tensor, Tensor) Pair(string name, params ReadOnlySpan<Argument> arguments)
    {
        Span<IntPtr> handles = stackalloc IntPtr[2];
        Call(name, arguments, handles);
        return (torch.Tensor.Wrap(handles[0]), torch.Tensor.Wrap(handles[1]));
    }

    /// <summary>Calls an operator that returns three tensors.</summary>
    internal static (Tensor, Tensor, Tensor) Triple(string name, params ReadOnlySpan<Argument> arguments)
    {
        Span<IntPtr> handles = stackalloc IntPtr[3];
        Call(name, arguments, handles);
        return (torch.Tensor.Wrap(handles[0]), torch.Tensor.Wrap(handles[1]), torch.Tensor.Wrap(handles[2]));
    }

    /// <summary>Calls an operator that returns a list of tensors (or several tensors).</summary>
    internal static Tensor[] Tensors(string name, params ReadOnlySpan<Argument> arguments)
    {
        NativeValue* results = Invoke(name, arguments, out int count);
        var handles = new IntPtr[count];
        for (int i = 0; i < count; i++) handles[i] = (IntPtr)results[i].Bits;
        return Array.ConvertAll(handles, torch.Tensor.Wrap);
    }

    /// <summary>Calls an operator that returns a truth value, an integer or a number, as its bits.</summary>
    internal static long Bits(string name, params ReadOnlySpan<Argument> arguments)
    {
        NativeValue* results = Invoke(name, arguments, out int count);
        return count > 0 ? results[0].Bits : throw new InvalidOperationException($"aten::{name} returned nothing");
    }

    /// <summary>Calls an operator that returns a truth value.</summary>
    internal static bool Bool(string name, params ReadOnlySpan<Argument> arguments) => Bits(name, arguments) != 0;

    /// <summary>Calls an operator that returns nothing.</summary>
    internal static void Run(string name, params ReadOnlySpan<Argument> arguments) => Call(name, arguments, []);

    private static void Call(string name, ReadOnlySpan<Argument> arguments, Span<IntPtr> handles)
    {
        NativeValue* results = Invoke(name, arguments, out int count);
        for (int i = 0; i < handles.Length && i < count; i++) handles[i] = (IntPtr)results[i].Bits;
        for (int i = handles.Length; i < count; i++)
            if (results[i].Kind == ValueKind.Tensor) Native.st_tensor_delete((IntPtr)results[i].Bits);
    }

    // The results lie in memory of the calling thread that the next call overwrites.
    private static NativeValue* Invoke(string name, ReadOnlySpan<Argument> arguments, out int count)
    {
        const int OnStack = 1024;
        Operator op = Operator.Get(name);

        int bytes = 0;
        foreach (ref readonly Argument argument in arguments) bytes += argument.BufferSize;
        NativeValue* values = stackalloc NativeValue[arguments.Length];
        byte* onStack = stackalloc byte[Math.Min(bytes, OnStack)];
        byte[] onHeap = bytes > OnStack ? GC.AllocateUninitializedArray<byte>(bytes, pinned: true) : null;

        fixed (byte* heap = onHeap)
        {
            byte* buffer = onHeap is null ? onStack : heap;
            for (int i = 0; i < arguments.Length; i++) arguments[i].Write(values + i, ref buffer);
            NativeValue* results = op.Widened == 0
                ? Native.st_call(op.Handle, values, arguments.Length, out count)
                : Native.st_call_widened(op.Handle, values, arguments.Length, (int)op.Widened, out count);
            foreach (ref readonly Argument argument in arguments) argument.KeepAlive();
            if (count < 0) Native.ThrowLastError();
            return results;
        }
    }

    /// <summary>The arguments with self before them, without an array for the usual small number.</summary>
    private ref struct ArgumentList
    {
        private Eight _few;
        private readonly Argument[] _many;
        private readonly int _count;

        internal ArgumentList(Tensor self, ReadOnlySpan<Argument> others)
        {
            _count = others.Length + 1;
            Span<Argument> target = _count <= 8 ? _few : _many = new Argument[_count];
            target[0] = self;
            others.CopyTo(target[1..]);
        }

        [System.Diagnostics.CodeAnalysis.UnscopedRef]
        internal ReadOnlySpan<Argument> Span => _many is null ? ((ReadOnlySpan<Argument>)_few)[.._count] : _many;
    }

    [System.Runtime.CompilerServices.InlineArray(8)]
    private struct Eight
    {
        private Argument _first;
    }
}
