using System.Collections;
using System.Reflection;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>How many forward hooks that see a module's output are registered on it.</summary>
internal readonly struct HookCount
{
    private static readonly string[] _kinds = ["pre_hooks", "post_hooks", "module_pre_hooks", "module_post_hooks"];

    private readonly ICollection? _registered;

    // The field is declared on a generic base, whose type arguments follow the module's signature.
    internal HookCount(nn.Module module) => _registered = Registered(module, "post_hooks");

    /// <summary>The number at the moment; too many to matter where it cannot be told.</summary>
    internal int Current => _registered?.Count ?? int.MaxValue;

    /// <summary>Whether a module has hooks of any kind: before its forward or behind it, that see tensors or the module alone.</summary>
    internal static bool Any(nn.Module module) => _kinds.Any(kind => Registered(module, kind) is { Count: > 0 });

    private static ICollection? Registered(nn.Module module, string kind) =>
        module.GetType().GetField(kind, BindingFlags.Instance | BindingFlags.NonPublic)?.GetValue(module) as ICollection;
}
