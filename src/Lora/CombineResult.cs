namespace Lora;

/// <summary>What combining adapters gave.</summary>
/// <param name="Name">The new adapter's name.</param>
/// <param name="Layers">The layers that have it, in the model's order.</param>
public sealed record CombineResult(string Name, IReadOnlyList<CombinedLayer> Layers)
{
    /// <summary>The Frobenius norm of what was cut off all layers together; 0 for methods that cut nothing off.</summary>
    public double TruncationError => Math.Sqrt(Layers.Sum(layer => layer.TruncationError * layer.TruncationError));
}
