namespace Lora.Conversion;

/// <summary>What extracting an adapter gave.</summary>
/// <param name="Folder">The folder with PEFT's two files.</param>
/// <param name="Config">The adapter's configuration.</param>
/// <param name="Layers">The layers that have an adapter, in the order of the base.</param>
/// <param name="Unchanged">The paths of targets whose weights do not differ; they have no adapter.</param>
/// <param name="Untargeted">The tensors that differ and are no target's weight.</param>
public sealed record ExtractionResult(
    string Folder, LoraConfig Config, IReadOnlyList<ExtractedLayer> Layers, IReadOnlyList<string> Unchanged, IReadOnlyList<TensorDifference> Untargeted)
{
    /// <summary>The Frobenius norm of what the adapter lacks in all its layers together.</summary>
    public double Error => Math.Sqrt(Layers.Sum(layer => layer.Error * layer.Error));
}
