using System.Globalization;
using Lora.Injection;
using Lora.Layers;

namespace Lora;

/// <summary>One adapted layer of a wrapped model.</summary>
public sealed class AdapterLayer
{
    internal AdapterLayer(Attachment attachment)
    {
        Path = attachment.Path;
        Layer = attachment.Layer;
        Attachment = attachment.Kind;
    }

    /// <summary>The dotted path of the layer in the unwrapped model.</summary>
    public string Path { get; }

    /// <summary>The layer itself.</summary>
    public LoraLayer Layer { get; }

    /// <summary>How it takes part in the model.</summary>
    public AttachmentKind Attachment { get; }

    /// <summary>The kind of the base layer, such as <c>Linear</c>.</summary>
    public string Kind => Layer.BaseLayer.GetType().Name;

    /// <summary>The rank r.</summary>
    public int Rank => Layer.Adapter.Rank;

    /// <summary>The numerator of the scale.</summary>
    public double Alpha => Layer.Adapter.Alpha;

    /// <summary>The factor s of ΔW = s·B·A.</summary>
    public double Scale => Layer.Adapter.Scale;

    /// <summary>Path, kind, widths, rank, alpha and attachment on one line.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Path}  {Kind} {Layer.InFeatures}→{Layer.OutFeatures}  r={Rank} α={Alpha} ({(Attachment == AttachmentKind.Swapped ? "swapped" : "hooked")})");
}
