using System.Reflection;
using TorchSharp;

namespace Lora.Tests;

/// <summary>The native tensors that are alive, as far as the backend tells: in-repo SystemTorch counts them, the package does not.</summary>
internal static class LiveHandles
{
    private static readonly MethodInfo? _count = typeof(torch).Assembly.GetType("TorchSharp.Interop.Native")
        ?.GetMethod("st_live_handles", BindingFlags.Static | BindingFlags.NonPublic);

    /// <summary>Their number, or 0 where it cannot be told.</summary>
    public static long Count => _count is null ? 0 : (long)_count.Invoke(null, null)!;
}
