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

    /// <summary>Puts base layers back and disposes the adapters.</summary>
    internal static void Detach(IEnumerable<Attachment> attachments)
    {
        Attachment[] all = [.. attachments];
        var children = new ChildExchange();
        foreach (Attachment attachment in all) attachment.Detach(children);
        children.Apply();
        foreach (Attachment attachment in all) attachment.Layer.Release();
    }

    private protected abstract void Detach(ChildExchange children);
}

/// <summary>An adapted layer in the slots of its base layer (several when the layer is shared).</summary>
internal sealed class SwapAttachment : Attachment
{
    private readonly IReadOnlyList<ModuleSlot> _slots;

    internal SwapAttachment(string path, ILoraLayer layer, IReadOnlyList<ModuleSlot> slots, ChildExchange children)
        : base(path, layer)
    {
        _slots = slots;
        foreach (ModuleSlot slot in slots) slot.Set((nn.Module)layer, children);
    }

    internal override AttachmentKind Kind => AttachmentKind.Swapped;

    private protected override void Detach(ChildExchange children)
    {
        foreach (ModuleSlot slot in _slots) slot.Set(Layer.BaseLayer, children);
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

    private protected override void Detach(ChildExchange children)
    {
        _hook.Dispose();
        _site.Parent.register_module(_name, null!);
    }

    private static string FreeName(ModuleSite site)
    {
        var taken = site.Parent.named_children().Select(child => child.name).ToHashSet(StringComparer.Ordinal);
        string name = site.Name + "_lora";
        while (taken.Contains(name)) name += "_";
        return name;
    }
}
