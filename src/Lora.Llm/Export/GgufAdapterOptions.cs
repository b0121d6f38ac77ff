using Lora.Export.Gguf;

namespace Lora.Llm.Export;

/// <summary>What <see cref="GgufAdapterExport"/> writes.</summary>
public sealed record GgufAdapterOptions
{
    /// <summary>The type of the factors: F32, F16, BF16 or Q8_0. Where rows are no multiple of 32, as those of B with smaller ranks, F16 takes the place of Q8_0.</summary>
    /// <value>F32 by default.</value>
    public GgufType Type { get; init; } = GgufType.F32;

    /// <summary>The adapter's name (<c>general.name</c>).</summary>
    /// <value>Null by default: that of the folder.</value>
    public string? Name { get; init; }
}
