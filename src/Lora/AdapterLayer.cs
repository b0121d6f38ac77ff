using System.Globalization;
using Lora.Injection;
using Lora.Layers;

namespace Lora;

/// <summary>One adapted layer of a wrapped model.</summary>
public sealed class AdapterLayer
{
    internal AdapterLayer(Attachment attached) => Attached = attached;

    /// <summary>The dotted path of the layer in the unwrapped model.</summary>
    public string Path => Attached.Path;

    /// <summary>The layer itself.</summary>
    public ILoraLayer Layer => Attached.Layer;

    /// <summary>How it takes part in the model.</summary>
    public AttachmentKind Attachment => Attached.Kind;

    /// <summary>The kind of the base layer, such as <c>Linear</c>.</summary>
    public string Kind => Layer.BaseLayer.GetType().Name;

    /// <summary>The rank r of the adapter that is active, or of the first of several.</summary>
    /// <exception cref="InvalidOperationException">None is active on this layer.</exception>
    public int Rank => Layer.Adapter.Rank;

    /// <summary>The numerator of that adapter's scale.</summary>
    /// <exception cref="InvalidOperationException">None is active on this layer.</exception>
    public double Alpha => Layer.Adapter.Alpha;

    /// <summary>The factor s of that adapter's ΔW = s·B·A.</summary>
    /// <exception cref="InvalidOperationException">None is active on this layer.</exception>
    public double Scale => Layer.Adapter.Scale;

    internal Attachment Attached { get; }

    /// <summary>Path, kind, widths, rank, alpha and variant of the active adapters, and attachment on one line.</summary>
    public override string ToString()
    {
        string adapters = string.Join(" + ", Layer.Adapters.Active.Select(adapter => string.Create(CultureInfo.InvariantCulture, $"r={adapter.Rank} α={adapter.Alpha}{(adapter.Variant is null ? "" : $" {adapter.Variant.Title}")}")));
        return $"{Path}  {Kind} {Layer.Signature}  {(adapters.Length > 0 ? adapters : "no active adapter")} ({(Attachment == AttachmentKind.Swapped ? "swapped" : "hooked")})";
    }
}
