using Lora.Llm;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Methods;

/// <summary>The examples to train on, and those that are held out.</summary>
internal sealed class MethodData
{
    private const int BatchSize = 16;
    private readonly JsonlDataset _train;
    private readonly Dictionary<int, int[]> _orders = [];

    /// <param name="folder">A folder with <c>stories260k</c> and <c>e2e</c>.</param>
    internal MethodData(string folder)
    {
        ModelFolder = Path.Combine(folder, "stories260k");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(ModelFolder);
        var options = new JsonlOptions { MaxLength = 160 };
        _train = JsonlDataset.Load(Path.Combine(folder, "e2e", "train.jsonl"), tokenizer, options);
        TrainingExample[] held = [.. Shuffled(JsonlDataset.Load(Path.Combine(folder, "e2e", "test.jsonl"), tokenizer, options).Examples, seed: 1)];
        (Choosing, HeldOut) = (held[..128], held[128..640]);
    }

    internal string ModelFolder { get; }

    /// <summary>What the learning rate is chosen by.</summary>
    internal IReadOnlyList<TrainingExample> Choosing { get; }

    /// <summary>What the results are measured by; none of it is among the others.</summary>
    internal IReadOnlyList<TrainingExample> HeldOut { get; }

    /// <summary>The batch of a step.</summary>
    internal TrainingBatch Batch(int seed, int step)
    {
        if (!_orders.TryGetValue(seed, out int[]? order)) _orders.Add(seed, order = [.. Shuffled(Enumerable.Range(0, _train.Examples.Count), seed)]);
        return TrainingBatch.Collate([.. Enumerable.Range(step * BatchSize, BatchSize).Select(i => _train.Examples[order[i % order.Length]])], 0, CPU);
    }

    private static T[] Shuffled<T>(IEnumerable<T> items, int seed)
    {
        T[] shuffled = [.. items];
        new Random(seed).Shuffle(shuffled);
        return shuffled;
    }
}
