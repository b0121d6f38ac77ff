using System.Reflection;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Calls back after each forward pass of a module, whatever the number and types of its arguments.</summary>
internal sealed class ForwardObserver : IDisposable
{
    private readonly object _remover;

    private ForwardObserver(object remover) => _remover = remover;

    /// <summary>Registers <paramref name="callback"/>; disposing the answer removes it.</summary>
    /// <returns>Null when the module has no forward hooks.</returns>
    internal static ForwardObserver? Attach(nn.Module module, Action callback)
    {
        Action<nn.Module> hook = _ => callback();
        // The method is declared on a generic base, whose type arguments follow the module's signature.
        MethodInfo? register = module.GetType().GetMethod("register_forward_hook", [typeof(Action<nn.Module>)]);
        return register?.Invoke(module, [hook]) is object remover ? new ForwardObserver(remover) : null;
    }

    public void Dispose() => _remover.GetType().GetMethod("remove")!.Invoke(_remover, null);
}
