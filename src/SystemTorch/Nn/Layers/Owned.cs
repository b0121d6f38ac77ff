using static TorchSharp.torch;

namespace TorchSharp.Modules;

internal static class Owned
{
    /// <summary>Takes a tensor out of its dispose scope, since a layer keeps it.</summary>
    internal static T Own<T>(this T tensor)
        where T : Tensor => (T)tensor?.DetachFromDisposeScope();
}
