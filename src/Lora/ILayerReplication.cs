namespace Lora;

/// <summary>A stack of layers that was rebuilt by <see cref="IReplicatesLayers.Replicate"/>. Disposing it makes the stack for good what it was before.</summary>
public interface ILayerReplication : IDisposable
{
    /// <summary>Whether the model runs the rebuilt stack; where not, it runs its own.</summary>
    bool IsActive { get; set; }
}
