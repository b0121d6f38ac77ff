using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>A layer that is written in the form of mlx-lm.</summary>
/// <param name="Path">Its path.</param>
/// <param name="A">A, <c>[r, in]</c>.</param>
/// <param name="B">B, <c>[out, r]</c>.</param>
/// <param name="Scale">What multiplies their product.</param>
internal sealed record MlxLayer(string Path, Tensor A, Tensor B, double Scale);
