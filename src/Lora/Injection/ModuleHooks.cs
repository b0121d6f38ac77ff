using System.Reflection;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Hooks on modules of any signature.</summary>
internal static class ModuleHooks
{
    /// <summary>Whether a module has hooks, which is when it has a forward.</summary>
    internal static bool CanHook(nn.Module module) => Method(module, "register_forward_hook") is not null;

    /// <summary>Calls back before each pass through <c>call</c>.</summary>
    internal static IDisposable Before(nn.Module module, Action callback) => Register(module, "register_forward_pre_hook", callback);

    /// <summary>Calls back after each pass through <c>call</c> that did not fail.</summary>
    internal static IDisposable After(nn.Module module, Action callback) => Register(module, "register_forward_hook", callback);

    private static HookRemoval Register(nn.Module module, string method, Action callback)
    {
        Action<nn.Module> hook = _ => callback();
        object remover = Method(module, method)!.Invoke(module, [hook])!;
        return new HookRemoval(() => remover.GetType().GetMethod("remove")!.Invoke(remover, null));
    }

    // The methods are declared on a generic base, whose type arguments follow the module's signature.
    private static MethodInfo? Method(nn.Module module, string name) => module.GetType().GetMethod(name, [typeof(Action<nn.Module>)]);
}
