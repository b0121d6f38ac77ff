namespace Lora.Optimization;

/// <summary>
/// How the trainable parameters are grouped. With <see cref="UpRatio"/> above 1 it is LoRA+ (Hayou, Ghosh and Yu 2024, "LoRA+: Efficient Low Rank Adaptation of Large Models").
/// </summary>
public sealed record GroupOptions
{
    /// <summary>The learning rate of A, and of whatever has no other.</summary>
    /// <value>1e-4 by default.</value>
    public double LearningRate { get; init; } = 1e-4;

    /// <summary>How many times the learning rate is that of B and of vectors. The paper finds values well above 1 best, 16 among them. PEFT calls it <c>loraplus_lr_ratio</c>.</summary>
    /// <value>1 by default.</value>
    public double UpRatio { get; init; } = 1;

    /// <summary>The learning rate of the adapters of embeddings; null for that of A. PEFT calls it <c>loraplus_lr_embedding</c>, and takes 1e-6 where it is not given.</summary>
    /// <value>Null by default.</value>
    public double? EmbeddingLearningRate { get; init; }

    /// <summary>The weight decay of matrices. Vectors (biases, magnitudes, scales of norms) have none.</summary>
    /// <value>0 by default.</value>
    public double WeightDecay { get; init; }

    /// <exception cref="ArgumentOutOfRangeException">A setting is out of range.</exception>
    internal void Validate()
    {
        Check(LearningRate, nameof(LearningRate));
        Check(UpRatio, nameof(UpRatio));
        Check(EmbeddingLearningRate ?? 0, nameof(EmbeddingLearningRate));
        Check(WeightDecay, nameof(WeightDecay));
        if (UpRatio == 0) throw new ArgumentOutOfRangeException(nameof(UpRatio), UpRatio, $"{nameof(UpRatio)} must be above 0: B would not train.");
    }

    private static void Check(double value, string name)
    {
        if (!double.IsFinite(value) || value < 0) throw new ArgumentOutOfRangeException(name, value, $"{name} must be a finite number of at least 0.");
    }
}
