using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>Rows of an embedding that an adapter is going to have its own of.</summary>
/// <param name="Path">The embedding's path.</param>
/// <param name="Embedding">The embedding.</param>
/// <param name="Head">The output head that shares its weight, or null.</param>
/// <param name="HeadPath">That head's path.</param>
/// <param name="Indices">The rows.</param>
internal sealed record PlannedRows(string Path, Embedding Embedding, nn.Module<Tensor, Tensor>? Head, string HeadPath, IReadOnlyList<int> Indices)
{
    internal long Elements
    {
        get
        {
            using Parameter weight = Embedding.weight!;
            return Indices.Count * weight.shape[1];
        }
    }

    internal long Bytes
    {
        get
        {
            using Parameter weight = Embedding.weight!;
            return Elements * (weight.dtype == ScalarType.Float64 ? 8 : 4);
        }
    }
}
