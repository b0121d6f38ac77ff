using Lora.Export.Gguf;

namespace Lora.Llm.Export;

/// <summary>What <see cref="GgufModelExport"/> writes.</summary>
public sealed record GgufModelOptions
{
    /// <summary>
    /// The type of the matrices: F32, F16, BF16, Q8_0 or Q4_0. Vectors, norms and GPT-2's positions stay F32, as in llama.cpp. Where the rows of a matrix are no multiple of 32, F16 takes the place of
    /// Q8_0 and Q4_0; the output head of a Q4_0 file, or the embedding that is its head as well, is Q8_0 (llama.cpp has Q6_K there).
    /// </summary>
    /// <value>Null by default: the type that the checkpoint has, F32 in place of F64.</value>
    public GgufType? Type { get; init; }

    /// <summary>Folders of adapters in PEFT's form that are merged on the way, as by <see cref="Lora.Export.CheckpointMerge"/>.</summary>
    /// <value>None by default.</value>
    public IReadOnlyList<string> Adapters { get; init; } = [];

    /// <summary>Whether the tokenizer is written. Without it a file can be inspected and computed with, but llama.cpp takes token ids alone.</summary>
    /// <value>True by default.</value>
    public bool IncludeTokenizer { get; init; } = true;

    /// <summary>The model's name (<c>general.name</c>).</summary>
    /// <value>Null by default: that of the folder.</value>
    public string? Name { get; init; }
}
