namespace Lora.Llm;

/// <summary>The order of the examples in training: shuffled anew in every epoch, and grouped by length or packed so that little is padded.</summary>
internal sealed class BatchPlan(IReadOnlyList<TrainingExample> examples, int batchSize, bool groupByLength, long seed, int? packedLength = null)
{
    // Sorting within windows of this many batches keeps the order random on the whole, as transformers' group_by_length does.
    private const int WindowBatches = 50;

    /// <summary>The number of batches of one epoch; the last may be smaller.</summary>
    internal int BatchesPerEpoch { get; } = ((packedLength is int length ? Rows([.. Enumerable.Range(0, examples.Count)], examples, length).Length : examples.Count) + batchSize - 1) / batchSize;

    /// <summary>Batches without end, one epoch after the other.</summary>
    internal IEnumerable<IReadOnlyList<TrainingExample>> Batches()
    {
        for (long epoch = 0; ; epoch++)
        {
            foreach (IReadOnlyList<TrainingExample> batch in Epoch(epoch)) yield return batch;
        }
    }

    private IEnumerable<IReadOnlyList<TrainingExample>> Epoch(long epoch)
    {
        var random = new Random(HashCode(seed, epoch));
        int[] order = [.. Enumerable.Range(0, examples.Count)];
        random.Shuffle(order);
        if (packedLength is int length)
        {
            List<int>[] rows = Rows(order, examples, length);
            random.Shuffle(rows);
            return rows.Chunk(batchSize).Select(chunk => Array.ConvertAll(chunk, row => TrainingExample.Pack(Batch([.. row]))));
        }
        if (!groupByLength) return order.Chunk(batchSize).Select(Batch);

        var batches = new List<int[]>();
        foreach (int[] window in order.Chunk(batchSize * WindowBatches))
            batches.AddRange(window.OrderBy(i => examples[i].InputIds.Count).Chunk(batchSize));
        int[][] shuffled = [.. batches];
        random.Shuffle(shuffled);
        return shuffled.Select(Batch);
    }

    private static List<int>[] Rows(int[] order, IReadOnlyList<TrainingExample> examples, int length) =>
        Packing.FirstFitDecreasing(order, i => examples[i].InputIds.Count, length);

    private TrainingExample[] Batch(int[] indices) => Array.ConvertAll(indices, i => examples[i]);

    // Not System.HashCode, whose result differs from run to run.
    private static int HashCode(long seed, long epoch) => unchecked((int)(seed * 1000003 + epoch * 7919 + (seed >> 32)));
}
