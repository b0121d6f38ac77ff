namespace Lora.Llm;

/// <summary>What a layer of a ResNet is made of.</summary>
public enum ResNetLayerKind
{
    /// <summary>Two convolutions of 3 x 3, as in ResNet-18 and ResNet-34.</summary>
    Basic,

    /// <summary>A convolution of 3 x 3 in a quarter of the channels, between two of 1 x 1, as in ResNet-50 and larger.</summary>
    Bottleneck,
}
