namespace Lora.Llm;

/// <summary>What the tokens of a layer look at.</summary>
public enum LayerAttention
{
    /// <summary>All tokens before (<c>full_attention</c>).</summary>
    Full,

    /// <summary>A sliding window (<c>sliding_attention</c>).</summary>
    Sliding,
}
