using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The dropout of base models, which most checkpoints have none of.</summary>
internal static class Dropouts
{
    /// <summary>Drops a share in training; where nothing is dropped, the very tensor comes back.</summary>
    internal static Tensor Apply(Tensor x, double share, bool training) => training && share > 0 ? nn.functional.dropout(x, share, training: true) : x;
}
