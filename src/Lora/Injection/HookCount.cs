using System.Collections;
using System.Reflection;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>How many forward hooks that see a module's output are registered on it.</summary>
internal readonly struct HookCount
{
    private static readonly FieldInfo? _hooks = typeof(nn.HookableModule<Func<nn.Module<Tensor, Tensor>, Tensor, Tensor>, Func<nn.Module<Tensor, Tensor>, Tensor, Tensor, Tensor>>)
        .GetField("post_hooks", BindingFlags.Instance | BindingFlags.NonPublic);

    private readonly ICollection? _registered;

    internal HookCount(nn.Module<Tensor, Tensor> module) => _registered = _hooks?.GetValue(module) as ICollection;

    /// <summary>The number at the moment; too many to matter where it cannot be told.</summary>
    internal int Current => _registered?.Count ?? int.MaxValue;
}
