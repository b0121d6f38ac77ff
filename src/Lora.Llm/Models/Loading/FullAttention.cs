namespace Lora.Llm.Loading;

/// <summary>Refuses what a file asks of some layers that this version does not compute.</summary>
internal static class FullAttention
{
    /// <summary>Requires that every token of every layer looks at all before it.</summary>
    internal static void Require(ConfigReader file)
    {
        file.Require(!file.Truth("use_sliding_window", false), "use_sliding_window is true, but this version supports full attention alone for this family.");
        foreach (string type in file.Texts("layer_types").Where(type => type != "full_attention").Distinct(StringComparer.Ordinal))
            file.Require(false, $"layer_types has \"{type}\", but this version supports \"full_attention\" alone for this family.");
    }
}
