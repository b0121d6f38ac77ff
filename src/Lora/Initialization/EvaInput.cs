using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>An input that one layer has, or several alike.</summary>
/// <param name="path">The path of the first of these layers.</param>
internal sealed class EvaInput(string path) : IDisposable
{
    private double[] _turns = [];

    internal string Path => path;

    /// <summary>How many directions are sought.</summary>
    internal int Most { get; set; }

    /// <summary>The most rows that a pass has brought.</summary>
    internal long MostRows { get; private set; }

    internal bool IsSettled { get; set; }

    internal IncrementalPca Pca { get; private set; } = null!;

    internal void Begin() => Pca = new IncrementalPca(Most);

    /// <summary>Takes rows in; too few of them say nothing, and are passed over.</summary>
    internal void Add(Tensor rows)
    {
        MostRows = Math.Max(MostRows, rows.shape[0]);
        if (rows.shape[0] < Most) return;
        using var scope = NewDisposeScope();
        Tensor? before = Pca.Components?.clone();
        Pca.Add(rows);
        // A direction has no sign.
        if (before is not null && before.shape.SequenceEqual(Pca.Components!.shape)) _turns = before.mul(Pca.Components).sum(1).abs().cpu().data<double>().ToArray();
    }

    /// <summary>Whether the first directions stood still at the last rows.</summary>
    internal bool HasSettled(int rank, double tau) => _turns.Length >= rank && _turns.Take(rank).All(cosine => cosine >= tau);

    public void Dispose() => Pca?.Dispose();
}
