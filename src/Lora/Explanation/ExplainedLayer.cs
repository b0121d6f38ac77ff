using System.Globalization;

namespace Lora;

/// <summary>A layer that a configuration would adapt.</summary>
/// <param name="Path">Its dotted path in the model.</param>
/// <param name="Kind">The kind of the layer, such as <c>Linear</c>.</param>
/// <param name="Signature">What goes in and what comes out, such as <c>2048→2048</c>.</param>
/// <param name="Attachment">How the adapter would take part in the model.</param>
/// <param name="Rank">The rank r.</param>
/// <param name="Alpha">The numerator of the scale.</param>
/// <param name="Scale">The factor s of ΔW = s·B·A.</param>
/// <param name="Parameters">How many numbers would train.</param>
/// <param name="Bytes">How much memory they would take.</param>
public sealed record ExplainedLayer(string Path, string Kind, string Signature, AttachmentKind Attachment, int Rank, double Alpha, double Scale, long Parameters, long Bytes)
{
    /// <summary>All of it on one line.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Path}  {Kind} {Signature}  r={Rank} α={Alpha} s={Scale:G6}  {Parameters:N0} parameters, {Bytes:N0} bytes ({(Attachment == AttachmentKind.Swapped ? "swapped" : "hooked")})");
}
