namespace TorchSharp.Interop;

/// <summary>An ATen operator: the dispatcher's handle and the types that it must be widened for.</summary>
internal sealed class Operator
{
    private static readonly Lock _lock = new();

    // Copied on every addition, so that the lookup of each call takes no lock.
    private static volatile Dictionary<string, Operator> _known = [];

    internal readonly IntPtr Handle;
    internal readonly LowPrecision.Types Widened;

    private Operator(IntPtr handle, LowPrecision.Types widened)
    {
        Handle = handle;
        Widened = widened;
    }

    /// <summary>The operator with this name and overload (<c>"add.Tensor"</c>).</summary>
    internal static Operator Get(string name) => _known.TryGetValue(name, out Operator found) ? found : Find(name);

    /// <summary>Whether this libtorch has the operator.</summary>
    internal static bool Exists(string name)
    {
        (string op, string overload) = Split(name);
        return Native.st_operator("aten::" + op, overload) != IntPtr.Zero;
    }

    private static Operator Find(string name)
    {
        (string op, string overload) = Split(name);
        var made = new Operator(Native.Check(Native.st_operator("aten::" + op, overload)), LowPrecision.Of(op));
        lock (_lock) _known = new Dictionary<string, Operator>(_known) { [name] = made };
        return made;
    }

    private static (string Name, string Overload) Split(string name)
    {
        int dot = name.IndexOf('.', StringComparison.Ordinal);
        return dot < 0 ? (name, "") : (name[..dot], name[(dot + 1)..]);
    }
}
