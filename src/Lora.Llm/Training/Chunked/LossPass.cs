using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Chunked;

/// <summary>One computation of a loss in chunks: Σ over the rows of −log softmax(logits)[label], and its gradients.</summary>
internal sealed class LossPass
{
    private const long ChunkOnCpu = 4L << 20;
    private const long ChunkElsewhere = 128L << 20;
    private const long LeastRows = 32;

    // Keeps the gradients of float16 away from its smallest numbers: a probability of 1e-5 would have two digits left.
    private const double HalfFactor = 256;

    private readonly ChunkHead _head;
    private readonly Tensor _labels;
    private readonly double? _softCap;
    private readonly long _chunkRows;
    private readonly bool _differentiates;
    private List<Tensor> _gradients = [];

    private LossPass(ChunkHead head, Tensor labels, double? softCap, long chunkRows, bool differentiates, ScalarType type)
    {
        (_head, _labels, _softCap, _chunkRows, _differentiates) = (head, labels, softCap, chunkRows, differentiates);
        Factor = type == ScalarType.Float16 ? HalfFactor : 1;
    }

    /// <summary>What the gradients of <see cref="Forward"/> are multiplied by.</summary>
    internal double Factor { get; }

    /// <summary>Computes the loss of the rows that have a label.</summary>
    /// <param name="hidden">Shape <c>[rows, in]</c>.</param>
    /// <param name="head">The head.</param>
    /// <param name="labels">int64, shape <c>[rows]</c>.</param>
    /// <param name="softCap">The cap of the logits; null for none.</param>
    /// <param name="learnedTokens">What the sum is divided by; null for the number of labels.</param>
    /// <param name="chunkRows">The rows of a chunk; null for the default.</param>
    /// <returns>A scalar in the current dispose scope.</returns>
    /// <exception cref="ArgumentException">A label is no token of the vocabulary.</exception>
    internal static Tensor Run(Tensor hidden, ChunkHead head, Tensor labels, double? softCap, double? learnedTokens, int? chunkRows = null)
    {
        using var scope = NewDisposeScope();
        Tensor places = labels.ne(TrainingExample.IgnoredLabel).nonzero().view(-1);
        Tensor learned = labels.index_select(0, places), rows = hidden.index_select(0, places);
        LearnedLabels.ThrowIfUnknown(learned, head.VocabularySize);
        IReadOnlyList<Tensor> trained = head.Trained;
        bool differentiates = is_grad_enabled() && (hidden.requires_grad || trained.Count > 0);
        long chunk = chunkRows ?? Math.Max(LeastRows, (hidden.device_type == DeviceType.CPU ? ChunkOnCpu : ChunkElsewhere) / head.VocabularySize);
        var pass = new LossPass(head, learned, softCap, chunk, differentiates, hidden.dtype);
        try
        {
            Tensor sum = differentiates ? LossFunction.apply([pass, rows, .. trained]) : pass.Forward(rows, trained).Loss;
            using Scalar count = learnedTokens ?? learned.shape[0];
            return sum.div(count).MoveToOuterDisposeScope();
        }
        finally
        {
            // The graph has them, if there is one.
            foreach (Tensor gradient in pass._gradients) gradient.Dispose();
        }
    }

    /// <summary>Computes the sum and, where they are needed, its gradients.</summary>
    /// <param name="rows">Shape <c>[rows, in]</c>, each with a label.</param>
    /// <param name="trained">What else gets a gradient.</param>
    /// <returns>The sum in the current dispose scope, and the gradients of the rows and of what else gets one, which this pass disposes.</returns>
    internal (Tensor Loss, List<Tensor> Gradients) Forward(Tensor rows, IReadOnlyList<Tensor> trained)
    {
        using var noGrad = no_grad();
        Tensor total = zeros([], dtype: Wide(rows.dtype), device: rows.device);
        if (_differentiates)
            _gradients = [Kept(empty(rows.shape, dtype: rows.dtype, device: rows.device)), .. trained.Select(tensor => Kept(zeros(tensor.shape, dtype: Wide(tensor.dtype), device: tensor.device)))];
        long count = rows.shape[0];
        for (long start = 0; start < count; start += _chunkRows)
        {
            using var scope = NewDisposeScope();
            long length = Math.Min(_chunkRows, count - start);
            Tensor labels = _labels.narrow(0, start, length).unsqueeze(1), chunk = rows.narrow(0, start, length);
            if (_differentiates) _head.Differentiate(chunk, logits => AddLoss(total, logits, labels)!, _gradients[0].narrow(0, start, length), _gradients[1..]);
            else AddLoss(total, _head.Logits(chunk), labels);
        }
        return (total, _gradients);
    }

    // Returns the gradient of the logits, or null where none is needed.
    private Tensor? AddLoss(Tensor total, Tensor logits, Tensor labels)
    {
        Tensor? tanh = null;
        Tensor scores = logits;
        if (_softCap is double cap)
        {
            using Scalar by = cap;
            scores = (tanh = logits.div(by).tanh_()).mul(by);
        }
        Tensor wide = scores.dtype == total.dtype ? scores : scores.to(total.dtype), probabilities = wide.log_softmax(1);
        if (!ReferenceEquals(wide, scores)) wide.Dispose();
        total.sub_(probabilities.gather(1, labels).sum());
        if (!_differentiates) return null;
        // In place: another tensor of this size is what chunks are to save.
        using Scalar one = 1, factor = Factor;
        probabilities.exp_().scatter_add_(1, labels, full(labels.shape, -1, dtype: total.dtype, device: labels.device));
        if (tanh is not null) probabilities.mul_(tanh.mul_(tanh).neg_().add_(one));
        if (Factor != 1) probabilities.mul_(factor);
        return probabilities.dtype == logits.dtype ? probabilities : probabilities.to(logits.dtype);
    }

    private static Tensor Kept(Tensor tensor) => tensor.DetachFromDisposeScope();

    private static ScalarType Wide(ScalarType type) => type == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
}
