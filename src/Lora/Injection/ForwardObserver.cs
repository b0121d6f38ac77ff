using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Calls back after each forward pass of a module, whatever the number and types of its arguments.</summary>
internal static class ForwardObserver
{
    /// <summary>Registers <paramref name="callback"/>; disposing the answer removes it.</summary>
    /// <returns>Null when the module has no forward hooks.</returns>
    internal static IDisposable? Attach(nn.Module module, Action callback) => ModuleHooks.CanHook(module) ? ModuleHooks.After(module, callback) : null;
}
