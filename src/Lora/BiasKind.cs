namespace Lora;

/// <summary>Which biases of the base model are trained and saved together with an adapter. PEFT calls it <c>bias</c>.</summary>
public enum BiasKind
{
    /// <summary>No bias is trained (<c>"none"</c>).</summary>
    None,

    /// <summary>Every bias of the model is trained (<c>"all"</c>).</summary>
    All,

    /// <summary>The biases of the adapted layers are trained (<c>"lora_only"</c>).</summary>
    LoraOnly,
}
