using Lora.Layers;

namespace Lora.Serialization;

/// <summary>
/// Tells in a file's metadata whose arithmetic its convolutions were trained with. PEFT leaves the base layer's dilation and padding mode out of lora_A. Files of
/// ours with such layers bear a mark, since PEFT would compute something else with them; all others are PEFT's, or the same as PEFT's.
/// </summary>
internal static class ConvolutionMark
{
    internal const string Key = "lora_conv_geometry";
    internal const string Value = "base_layer";

    /// <summary>The mark, where one is needed.</summary>
    internal static IEnumerable<KeyValuePair<string, string>> For(IEnumerable<LoraAdapter> adapters) =>
        adapters.Any(adapter => adapter is ConvAdapter { DiffersFromPeft: true }) ? [new(Key, Value)] : [];

    /// <summary>Makes adapters whose file bears no mark compute what PEFT does, and returns what is to be said about it.</summary>
    internal static IEnumerable<string> Apply(IReadOnlyDictionary<string, string> metadata, IEnumerable<(string Path, LoraAdapter Adapter)> adapters)
    {
        if (metadata.ContainsKey(Key)) return [];
        var report = new List<string>();
        foreach ((string path, LoraAdapter adapter) in adapters)
        {
            if (adapter is not ConvAdapter { DiffersFromPeft: true } convolution) continue;
            convolution.UsePeftGeometry();
            report.Add($"'{path}' has a dilation or a padding mode, which PEFT, where the adapter was made, leaves out of lora_A; it is computed so, and cannot be merged exactly");
        }
        return report;
    }
}
