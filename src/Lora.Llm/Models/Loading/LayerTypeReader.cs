namespace Lora.Llm.Loading;

/// <summary>Reads which layers look at a sliding window alone.</summary>
internal static class LayerTypeReader
{
    /// <summary>The kind of each layer where the file lists them (<c>layer_types</c>), else null.</summary>
    internal static IReadOnlyList<LayerAttention>? Read(ConfigReader file, int layers)
    {
        if (!file.Has("layer_types")) return null;
        IReadOnlyList<string> types = file.Texts("layer_types");
        foreach (string type in types.Where(type => type is not ("full_attention" or "sliding_attention")).Distinct(StringComparer.Ordinal))
            file.Require(false, $"layer_types has \"{type}\", but this version supports \"full_attention\" and \"sliding_attention\".");
        file.Require(!file.IsRight || types.Count == layers, $"layer_types has {types.Count} entries, but num_hidden_layers is {layers}.");
        return [.. types.Select(type => type == "sliding_attention" ? LayerAttention.Sliding : LayerAttention.Full)];
    }

    /// <summary>The kinds that a rule gives.</summary>
    internal static IReadOnlyList<LayerAttention> Of(int layers, Func<int, bool> slides) =>
        [.. Enumerable.Range(0, layers).Select(layer => slides(layer) ? LayerAttention.Sliding : LayerAttention.Full)];
}
