namespace Lora;

/// <summary>A model whose stack of layers can be rebuilt from its own layers, for <see cref="LoraConfig.LayerReplication"/>.</summary>
public interface IReplicatesLayers
{
    /// <summary>How many layers it has.</summary>
    int LayerCount { get; }

    /// <summary>Makes the model run its layers in the given ranges, one range after the other. A layer that comes again is another module that shares the first one's weights.</summary>
    /// <param name="ranges">Ranges within <see cref="LayerCount"/>.</param>
    /// <returns>The way back and forth.</returns>
    ILayerReplication Replicate(IReadOnlyList<LayerRange> ranges);
}
