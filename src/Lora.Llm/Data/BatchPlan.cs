namespace Lora.Llm;

/// <summary>The order of the examples in training: shuffled anew in every epoch, and grouped by length or packed so that little is padded.</summary>
/// <param name="examples">The examples.</param>
/// <param name="lengthOf">The tokens of one.</param>
/// <param name="pack">Puts several into one row.</param>
/// <param name="batchSize">The examples, or rows, of a batch.</param>
/// <param name="groupByLength">Whether batches are of like length.</param>
/// <param name="seed">What the order follows from.</param>
/// <param name="packedLength">The tokens of a row, where several share one.</param>
internal sealed class BatchPlan<TExample>(
    IReadOnlyList<TExample> examples, Func<TExample, int> lengthOf, Func<IReadOnlyList<TExample>, TExample> pack, int batchSize, bool groupByLength, long seed, int? packedLength = null)
{
    // Sorting within windows of this many batches keeps the order random on the whole, as transformers' group_by_length does.
    private const int WindowBatches = 50;

    /// <summary>The number of batches of one epoch; the last may be smaller.</summary>
    internal int BatchesPerEpoch { get; } = ((packedLength is int length ? Packing.FirstFitDecreasing([.. Enumerable.Range(0, examples.Count)], i => lengthOf(examples[i]), length).Length : examples.Count) + batchSize - 1) / batchSize;

    /// <summary>Batches without end, one epoch after the other.</summary>
    /// <param name="first">How many are passed over; whole epochs cost nothing.</param>
    internal IEnumerable<IReadOnlyList<TExample>> Batches(long first = 0)
    {
        int skip = (int)(first % BatchesPerEpoch);
        for (long epoch = first / BatchesPerEpoch; ; epoch++, skip = 0)
        {
            foreach (IReadOnlyList<TExample> batch in Epoch(epoch).Skip(skip)) yield return batch;
        }
    }

    private IEnumerable<IReadOnlyList<TExample>> Epoch(long epoch)
    {
        var random = new Random(HashCode(seed, epoch));
        int[] order = [.. Enumerable.Range(0, examples.Count)];
        random.Shuffle(order);
        if (packedLength is int length)
        {
            List<int>[] rows = Packing.FirstFitDecreasing(order, i => lengthOf(examples[i]), length);
            random.Shuffle(rows);
            return rows.Chunk(batchSize).Select(chunk => Array.ConvertAll(chunk, row => pack(Batch([.. row]))));
        }
        if (!groupByLength) return order.Chunk(batchSize).Select(Batch);

        var batches = new List<int[]>();
        foreach (int[] window in order.Chunk(batchSize * WindowBatches))
            batches.AddRange(window.OrderBy(i => lengthOf(examples[i])).Chunk(batchSize));
        int[][] shuffled = [.. batches];
        random.Shuffle(shuffled);
        return shuffled.Select(Batch);
    }

    private TExample[] Batch(int[] indices) => Array.ConvertAll(indices, i => examples[i]);

    // Not System.HashCode, whose result differs from run to run.
    private static int HashCode(long seed, long epoch) => unchecked((int)(seed * 1000003 + epoch * 7919 + (seed >> 32)));
}
