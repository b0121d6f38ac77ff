namespace Lora.Llm.Loading;

/// <summary>What a family's <c>config.json</c> means where it leaves a field out: the defaults of transformers.</summary>
/// <param name="MaxPositions">The number of positions (<c>max_position_embeddings</c>).</param>
/// <param name="KeyValueHeads">The number of key and value heads (<c>num_key_value_heads</c>); null for as many as query heads.</param>
/// <param name="HeadDimension">The width of a head (<c>head_dim</c>); null for the hidden size shared out.</param>
internal sealed record FamilyDefaults(int MaxPositions, int? KeyValueHeads = null, int? HeadDimension = null);
