using Lora.Llm;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Methods;

/// <summary>The examples to train on, and those that are held out.</summary>
internal sealed class MethodData
{
    private const int BatchSize = 8;
    // Longer examples cost more than they teach here.
    private const int LongestExample = 160;
    private readonly TrainingExample[] _train;
    private readonly Dictionary<int, int[]> _orders = [];

    /// <param name="folder">A folder with <c>stories260k</c> and <c>e2e</c>.</param>
    internal MethodData(string folder)
    {
        ModelFolder = Path.Combine(folder, "stories260k");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(ModelFolder);
        TrainingExample[] Read(string file) => [.. JsonlDataset.Load(Path.Combine(folder, "e2e", file), tokenizer).Examples.Where(example => example.InputIds.Count <= LongestExample)];
        _train = Read("train.jsonl");
        TrainingExample[] held = Shuffled(Read("test.jsonl"), seed: 1);
        (Choosing, HeldOut) = (held[..64], held[64..320]);
    }

    internal string ModelFolder { get; }

    /// <summary>What the learning rate is chosen by.</summary>
    internal IReadOnlyList<TrainingExample> Choosing { get; }

    /// <summary>What the results are measured by; none of it is among the others.</summary>
    internal IReadOnlyList<TrainingExample> HeldOut { get; }

    /// <summary>The batch of a step.</summary>
    internal TrainingBatch Batch(int seed, int step)
    {
        if (!_orders.TryGetValue(seed, out int[]? order)) _orders.Add(seed, order = [.. Shuffled(Enumerable.Range(0, _train.Length), seed)]);
        return TrainingBatch.Collate([.. Enumerable.Range(step * BatchSize, BatchSize).Select(i => _train[order[i % order.Length]])], 0, CPU);
    }

    private static T[] Shuffled<T>(IEnumerable<T> items, int seed)
    {
        T[] shuffled = [.. items];
        new Random(seed).Shuffle(shuffled);
        return shuffled;
    }
}
