using Lora.Export;
using Lora.Export.Gguf;

namespace Lora.Llm.Export;

/// <summary>What an export to GGUF has written.</summary>
/// <param name="File">The file.</param>
/// <param name="Tensors">Its tensors, in order.</param>
/// <param name="Merged">The tensors that adapters changed on the way, by their names in the checkpoint.</param>
/// <param name="Remarks">What a reader should know although it prevents nothing: other types than the one asked for, what llama.cpp computes otherwise.</param>
public sealed record GgufExportResult(string File, IReadOnlyList<GgufExportedTensor> Tensors, IReadOnlyList<MergedTensor> Merged, IReadOnlyList<string> Remarks);

/// <summary>A tensor that was written to a GGUF file.</summary>
/// <param name="Name">Its name there.</param>
/// <param name="Type">Its type there.</param>
public readonly record struct GgufExportedTensor(string Name, GgufType Type);
