using System.Collections;
using System.Reflection;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>How many forward hooks that see a module's output are registered on it.</summary>
internal readonly struct HookCount
{
    private readonly ICollection? _registered;

    // The field is declared on a generic base, whose type arguments follow the module's signature.
    internal HookCount(nn.Module module) =>
        _registered = module.GetType().GetField("post_hooks", BindingFlags.Instance | BindingFlags.NonPublic)?.GetValue(module) as ICollection;

    /// <summary>The number at the moment; too many to matter where it cannot be told.</summary>
    internal int Current => _registered?.Count ?? int.MaxValue;
}
