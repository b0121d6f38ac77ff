namespace Lora.Llm.Loading;

/// <summary>Reads the sliding windows of Qwen2 and Qwen3, which are there where <c>use_sliding_window</c> says so.</summary>
internal static class QwenWindows
{
    /// <summary>The window, and which layers have it.</summary>
    internal static (int? Window, IReadOnlyList<LayerAttention>? Types) Read(ConfigReader file, int layers)
    {
        int? window = file.CountOrNone("sliding_window", 4096);
        if (!file.Truth("use_sliding_window", false)) window = null;
        IReadOnlyList<LayerAttention>? types = LayerTypeReader.Read(file, layers);
        file.Require(
            window is not null || types is null || !types.Contains(LayerAttention.Sliding),
            "layer_types has \"sliding_attention\", but use_sliding_window is false or sliding_window is null.");
        int first = file.Whole("max_window_layers") ?? 28;
        return (window, types ?? (window is null ? null : LayerTypeReader.Of(layers, layer => layer >= first)));
    }
}
