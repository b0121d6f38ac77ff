using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Chunked;

/// <summary>A head h·Wᵀ + b. Its gradients are written down: dh = g·W, dW = gᵀ·h, db = Σ g.</summary>
/// <param name="weight">Gives W, shape <c>[vocabulary, in]</c>.</param>
/// <param name="bias">Gives b, shape <c>[vocabulary]</c>, or null.</param>
internal sealed class LinearHead(Func<Tensor> weight, Func<Tensor?> bias) : ChunkHead
{
    internal override long VocabularySize => weight().shape[0];

    internal override IReadOnlyList<Tensor> Trained => [.. new[] { weight(), bias() }.OfType<Tensor>().Where(tensor => tensor.requires_grad)];

    internal override Tensor Logits(Tensor rows) => nn.functional.linear(rows, weight(), bias());

    internal override void Differentiate(Tensor rows, Func<Tensor, Tensor> gradientOf, Tensor rowGradient, IReadOnlyList<Tensor> sums)
    {
        Tensor w = weight(), gradient = gradientOf(Logits(rows));
        rowGradient.addmm_(gradient, w, beta: 0);
        int next = 0;
        if (w.requires_grad) Add(sums[next++], gradient.t(), rows);
        if (bias() is { requires_grad: true }) sums[next].add_(gradient.sum([0L], type: sums[next].dtype));
    }

    private static void Add(Tensor sum, Tensor left, Tensor right)
    {
        if (sum.dtype == left.dtype) sum.addmm_(left, right);
        else sum.add_(left.mm(right));
    }
}
