using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Makes layers whose weights are not set yet: a model fills them all, at random or from a file, and drawing numbers twice takes long in a large one.</summary>
internal static class UnfilledLayers
{
    internal static Linear Linear(long inFeatures, long outFeatures, bool hasBias, ScalarType dataType, Device device) => nn.Linear(
        new Parameter(empty([outFeatures, inFeatures], dtype: dataType, device: device)),
        hasBias ? new Parameter(empty([outFeatures], dtype: dataType, device: device)) : null!);

    internal static Embedding Embedding(long count, long width, long? paddingIndex, ScalarType dataType, Device device)
    {
        using Tensor weight = empty([count, width], dtype: dataType, device: device);
        return nn.Embedding_from_pretrained(weight, freeze: false, padding_idx: paddingIndex);
    }
}
