using System.Collections;
using System.Reflection;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>How many forward hooks are registered on a module.</summary>
internal readonly struct HookCount
{
    private readonly ICollection?[] _registered;

    private HookCount(nn.Module module, params ReadOnlySpan<string> fields)
    {
        // The fields are declared on a generic base, whose type arguments follow the module's signature.
        _registered = new ICollection?[fields.Length];
        for (int i = 0; i < fields.Length; i++)
            _registered[i] = module.GetType().GetField(fields[i], BindingFlags.Instance | BindingFlags.NonPublic)?.GetValue(module) as ICollection;
    }

    /// <summary>Those that see the module's output.</summary>
    internal static HookCount OfOutput(nn.Module module) => new(module, "post_hooks");

    /// <summary>All of them, before and after the pass.</summary>
    internal static HookCount OfAll(nn.Module module) => new(module, "pre_hooks", "post_hooks", "module_pre_hooks", "module_post_hooks");

    /// <summary>The number at the moment; too many to matter where it cannot be told.</summary>
    internal int Current
    {
        get
        {
            int count = 0;
            foreach (ICollection? hooks in _registered)
            {
                if (hooks is null) return int.MaxValue;
                count += hooks.Count;
            }
            return count;
        }
    }
}
