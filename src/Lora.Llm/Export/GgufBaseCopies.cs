using Lora.Conversion;
using Lora.Serialization;

namespace Lora.Llm.Export;

/// <summary>
/// PEFT saves the weight of the token embedding or the output head beside an adapter of it, in case that rows were added. A GGUF adapter has no place for it; where it is the base's own, nothing is lost.
/// </summary>
/// <param name="family">The base's family.</param>
/// <param name="weights">The base's weights; null where they are not at hand.</param>
internal sealed class GgufBaseCopies(GgufFamily family, SafetensorsSource? weights)
{
    private const int PieceBytes = 1 << 20;

    /// <summary>What a reader should know although it prevents nothing.</summary>
    internal List<string> Remarks { get; } = [];

    /// <summary>Opens the base's weights where the folder has them.</summary>
    internal static SafetensorsSource? Open(string folder) =>
        File.Exists(Path.Combine(folder, "model.safetensors")) || File.Exists(Path.Combine(folder, "model.safetensors.index.json")) ? SafetensorsSource.Open(folder) : null;

    /// <summary>Whether a tensor is such a copy.</summary>
    internal bool Holds(FilePair tensor) => PathOf(tensor) is string path && family.Places.TryGetValue(path, out GgufPlace? place) && place.Name is "token_embd" or "output";

    /// <summary>Why a copy cannot be left out; null where it can.</summary>
    internal string? ProblemOf(SafetensorsFile adapter, FilePair tensor)
    {
        string path = PathOf(tensor)!;
        if (weights is null)
        {
            Remarks.Add($"tensor {tensor.Entry.Name} was left out without being compared with the base's weight, which is not at hand");
            return null;
        }
        SafetensorsEntry? own = weights.Entries.FirstOrDefault(entry => family.Bare(entry.Name) == $"{path}.weight")
            ?? (family.IsTied ? weights.Entries.FirstOrDefault(entry => family.Bare(entry.Name) is "embed_tokens.weight" or "wte.weight") : null);
        return own is not null && own.Type == tensor.Entry.Type && own.Shape.SequenceEqual(tensor.Entry.Shape) && AreSame(adapter, tensor.Entry, own)
            ? null
            : $"tensor {tensor.Entry.Name} is not the base's weight: the format has no whole weights, so that tokens that were added or trained are lost";
    }

    private bool AreSame(SafetensorsFile adapter, SafetensorsEntry copy, SafetensorsEntry own)
    {
        for (long start = 0; start < copy.ByteCount; start += PieceBytes)
        {
            int count = (int)Math.Min(PieceBytes, copy.ByteCount - start);
            if (!adapter.GetBytes(copy.Name, start, count).SequenceEqual(weights!.GetBytes(own.Name, start, count))) return false;
        }
        return true;
    }

    private string? PathOf(FilePair tensor)
    {
        if (tensor.IsFactor || !tensor.Kind.EndsWith(".weight", StringComparison.Ordinal)) return null;
        string path = tensor.Kind[..^".weight".Length];
        return family.Bare(path.EndsWith(".base_layer", StringComparison.Ordinal) ? path[..^".base_layer".Length] : path);
    }
}
