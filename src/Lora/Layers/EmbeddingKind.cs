using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>Adapts embeddings.</summary>
internal sealed class EmbeddingKind : LoraLayerKind
{
    public override string ModuleName => nameof(Embedding);

    public override Type LayerType => typeof(LoraEmbedding);

    public override bool Supports(nn.Module module) => module is Embedding;

    public override IEnumerable<string> Problems(nn.Module module, AdapterSettings settings)
    {
        if (settings.HasBias) yield return "is an Embedding, whose adapter cannot have a bias (lora_bias): leave it out of the targets, or adapt it under a configuration of its own";
        long count = LoraEmbedding.TableOf((Embedding)module).shape[0];
        if (settings.PaddingIndex is long index && !EmbeddingAdapter.IsIndex(index, count))
            yield return $"is an Embedding of {count} indices, of which {index} is none: correct its entry in {nameof(WrapOptions.PaddingIndices)}";
    }

    internal override (long Out, long In)? MatrixOf(nn.Module module) => LoraEmbedding.TableOf((Embedding)module).shape is [var count, var width] ? (width, count) : null;

    public override ILoraLayer Create(nn.Module module, bool ownsBase)
    {
        var embedding = (Embedding)module;
        return new LoraEmbedding(embedding, () => LoraEmbedding.TableOf(embedding), ownsBase);
    }
}
