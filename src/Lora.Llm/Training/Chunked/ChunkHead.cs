using Lora.Injection;
using Lora.Layers;
using Lora.Llm.Blocks;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Chunked;

/// <summary>An output head that takes some rows after the other.</summary>
internal abstract class ChunkHead
{
    /// <summary>The number of logits of a row.</summary>
    internal abstract long VocabularySize { get; }

    /// <summary>What of it gets a gradient. The order is always the same.</summary>
    internal abstract IReadOnlyList<Tensor> Trained { get; }

    /// <summary>Computes the logits of some rows, shape <c>[rows, vocabulary]</c>, without gradients.</summary>
    internal abstract Tensor Logits(Tensor rows);

    /// <summary>Computes the logits of some rows, and from their gradient those of the rows and of <see cref="Trained"/>.</summary>
    /// <param name="rows">The rows, shape <c>[rows, in]</c>.</param>
    /// <param name="gradientOf">Gives the gradient of logits, in their type.</param>
    /// <param name="rowGradient">Takes the gradient of the rows.</param>
    /// <param name="sums">Those of <see cref="Trained"/> are added to these.</param>
    internal abstract void Differentiate(Tensor rows, Func<Tensor, Tensor> gradientOf, Tensor rowGradient, IReadOnlyList<Tensor> sums);

    /// <summary>The head that a module is; null where its rows may not be taken apart: where hooks see or change what goes through it, rows of the batch have adapters of their own, or it is of an unknown kind.</summary>
    internal static ChunkHead? Of(nn.Module<Tensor, Tensor> head)
    {
        if (HookCount.OfAll(head).Current > 0) return null;
        return head switch
        {
            Linear linear => new LinearHead(() => linear.weight, () => linear.bias),
            TiedHead tied => new LinearHead(() => tied.Weight, () => null),
            LoraLinear { Adapters.Mix: null, BaseLayer: Linear or TiedHead } adapted when HookCount.OfAll(adapted.BaseLayer).Current == 0 => new AdaptedHead(adapted),
            _ => null,
        };
    }
}
