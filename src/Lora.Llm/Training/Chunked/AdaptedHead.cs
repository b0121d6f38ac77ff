using Lora.Layers;
using Lora.Llm.Blocks;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Chunked;

/// <summary>A head with adapters, whatever they are: autograd differentiates each chunk.</summary>
internal sealed class AdaptedHead(LoraLinear head) : ChunkHead
{
    internal override long VocabularySize => head.OutFeatures;

    // Only what takes part: another adapter has no gradient, which is not one of 0 for an optimizer. A tied weight is no parameter of its head.
    internal override IReadOnlyList<Tensor> Trained =>
    [
        .. head.BaseLayer.parameters()
            .Concat(head.Adapters.Contributing.SelectMany(adapter => adapter.parameters()))
            .Concat(head.BaseLayer is TiedHead tied ? [tied.Weight] : [])
            .Where(parameter => parameter.requires_grad),
    ];

    internal override Tensor Logits(Tensor rows) => head.call(rows);

    internal override void Differentiate(Tensor rows, Func<Tensor, Tensor> gradientOf, Tensor rowGradient, IReadOnlyList<Tensor> sums)
    {
        Tensor leaf = rows.detach().requires_grad_();
        Tensor logits;
        using (enable_grad()) logits = head.call(leaf);
        IList<Tensor> gradients = autograd.grad([logits], [leaf, .. Trained], [gradientOf(logits.detach())], allow_unused: true);
        rowGradient.copy_(gradients[0]);
        for (int i = 0; i < sums.Count; i++)
            if (gradients[i + 1] is { IsInvalid: false } gradient) sums[i].add_(gradient);
    }
}
