using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Makes layers whose weights are not set yet: a model fills them all, at random or from a file, and drawing numbers twice takes long in a large one.</summary>
internal static class UnfilledLayers
{
    internal static Linear Linear(long inFeatures, long outFeatures, bool hasBias, ScalarType dataType, Device device) => nn.Linear(
        new Parameter(empty([outFeatures, inFeatures], dtype: dataType, device: device)),
        hasBias ? new Parameter(empty([outFeatures], dtype: dataType, device: device)) : null!);

    internal static TransposedLinear TransposedLinear(long inFeatures, long outFeatures, ScalarType dataType, Device device) => new(
        new Parameter(empty([inFeatures, outFeatures], dtype: dataType, device: device)), new Parameter(empty([outFeatures], dtype: dataType, device: device)));

    // Not by Embedding_from_pretrained: in TorchSharp 0.107 the weight that it computes with is not the one that it lists, saves and converts.
    internal static Embedding Embedding(long count, long width, long? paddingIndex, ScalarType dataType, Device device)
    {
        // A narrow table comes first; it has to have the padding row, which a negative index counts from the end.
        long? row = paddingIndex < 0 ? paddingIndex + count : paddingIndex;
        Embedding embedding = nn.Embedding(1 + (row ?? 0), 1, padding_idx: row, device: device, dtype: dataType);
        using Parameter first = embedding.get_parameter("weight")!;
        embedding.weight = Kept(empty([count, width], dtype: dataType, device: device));
        return embedding;
    }

    // The setter of an embedding, unlike that of a linear layer, leaves the new parameter in its dispose scope, and the old one alive.
    private static Parameter Kept(Tensor tensor)
    {
        var parameter = new Parameter(tensor);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
