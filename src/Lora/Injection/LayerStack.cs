using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Rebuilds a model's stack of layers where a configuration asks for it.</summary>
internal static class LayerStack
{
    /// <param name="model">The model.</param>
    /// <param name="config">The settings.</param>
    /// <param name="problem">What stands in the way, or null.</param>
    /// <returns>The way back, or null where nothing is asked for or something stands in the way.</returns>
    internal static ILayerReplication? Replicate(nn.Module model, LoraConfig config, out string? problem)
    {
        problem = null;
        if (config.LayerReplication.Count == 0) return null;
        if (model is not IReplicatesLayers layers)
            problem = $"layer_replication asks for other layers, but a {ModuleSlot.ReadableName(model.GetType())} cannot rebuild its own: it must be an {nameof(IReplicatesLayers)}";
        else if (config.LayerReplication.Max(range => range.End) is int end && end > layers.LayerCount)
            problem = $"layer_replication asks for layers up to {end - 1}, but the model has {layers.LayerCount}, counted from 0";
        else
            return layers.Replicate(config.LayerReplication);
        return null;
    }
}
