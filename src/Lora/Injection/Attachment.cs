using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>An adapted layer in its place, and the way back.</summary>
internal abstract class Attachment
{
    private protected Attachment(string path, ILoraLayer layer)
    {
        Path = path;
        Layer = layer;
    }

    internal string Path { get; }

    internal ILoraLayer Layer { get; }

    internal abstract AttachmentKind Kind { get; }

    /// <summary>Puts the base layer back and disposes the adapters.</summary>
    internal abstract void Detach();
}

/// <summary>An adapted layer in the slots of its base layer (several when the layer is shared).</summary>
internal sealed class SwapAttachment : Attachment
{
    private readonly IReadOnlyList<ModuleSlot> _slots;

    internal SwapAttachment(string path, ILoraLayer layer, IReadOnlyList<ModuleSlot> slots)
        : base(path, layer)
    {
        _slots = slots;
        foreach (ModuleSlot slot in slots) slot.Set((nn.Module)layer);
    }

    internal override AttachmentKind Kind => AttachmentKind.Swapped;

    internal override void Detach()
    {
        foreach (ModuleSlot slot in _slots) slot.Set(Layer.BaseLayer);
        Layer.Release();
    }
}

/// <summary>An adapted layer beside its base layer. Its parent lists it, so that it moves, trains and evaluates with the model.</summary>
internal sealed class HookAttachment : Attachment
{
    private readonly ModuleSite _site;
    private readonly string _name;
    private readonly IDisposable _hook;

    internal HookAttachment(ModuleSite site, ILoraLayer layer)
        : base(site.Path, layer)
    {
        _site = site;
        _name = FreeName(site);
        site.Parent.register_module(_name, (nn.Module)layer);
        _hook = layer.AttachHook();
    }

    internal override AttachmentKind Kind => AttachmentKind.Hooked;

    internal override void Detach()
    {
        _hook.Dispose();
        _site.Parent.register_module(_name, null!);
        Layer.Release();
    }

    private static string FreeName(ModuleSite site)
    {
        var taken = site.Parent.named_children().Select(child => child.name).ToHashSet(StringComparer.Ordinal);
        string name = site.Name + "_lora";
        while (taken.Contains(name)) name += "_";
        return name;
    }
}
