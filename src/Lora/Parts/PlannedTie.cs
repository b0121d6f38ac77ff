using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>An output head that is going to share the adapter of the token embedding whose weight it shares.</summary>
/// <param name="EmbeddingPath">The embedding's path.</param>
/// <param name="HeadPath">The head's path.</param>
/// <param name="Head">The head.</param>
/// <param name="SavesBase">Whether the file holds the embedding's weight.</param>
internal sealed record PlannedTie(string EmbeddingPath, string HeadPath, nn.Module<Tensor, Tensor> Head, bool SavesBase);
