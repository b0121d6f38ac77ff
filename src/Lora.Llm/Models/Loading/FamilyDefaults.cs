namespace Lora.Llm.Loading;

/// <summary>What a family's <c>config.json</c> means where it leaves a field out: the defaults of transformers. The sizes of the matrices are never left out.</summary>
/// <param name="MaxPositions">The number of positions (<c>max_position_embeddings</c>).</param>
internal sealed record FamilyDefaults(int MaxPositions)
{
    /// <summary>The number of key and value heads (<c>num_key_value_heads</c>); null for as many as query heads.</summary>
    internal int? KeyValueHeads { get; init; }

    /// <summary>The width of a head (<c>head_dim</c>); null for the hidden size shared out.</summary>
    internal int? HeadDimension { get; init; }

    /// <summary>The ε of the norms (<c>rms_norm_eps</c>).</summary>
    internal double NormEpsilon { get; init; } = 1e-6;

    /// <summary>Whether the head is the token embedding (<c>tie_word_embeddings</c>).</summary>
    internal bool TiesEmbeddings { get; init; }

    /// <summary>The token that begins a text (<c>bos_token_id</c>).</summary>
    internal int? BeginTokenId { get; init; }

    /// <summary>The token that ends a text (<c>eos_token_id</c>).</summary>
    internal int? EndTokenId { get; init; }

    /// <summary>The token that fills up short texts (<c>pad_token_id</c>).</summary>
    internal int? PadTokenId { get; init; }
}
