using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Tests.Models;

/// <summary>The layers that can be adapted.</summary>
public enum LayerKind
{
    Linear,
    LinearWithoutBias,
    Transposed,
    TransposedWithoutBias,
}

internal static class LayerKindExtensions
{
    /// <summary>A layer with a bias that is not zero, where it has one.</summary>
    public static nn.Module<Tensor, Tensor> Make(this LayerKind kind, long inFeatures, long outFeatures, ScalarType type = ScalarType.Float32, int seed = 1)
    {
        nn.Module<Tensor, Tensor> layer = kind switch
        {
            LayerKind.Linear or LayerKind.LinearWithoutBias => nn.Linear(inFeatures, outFeatures, kind == LayerKind.Linear, TestDevice.Current, type),
            _ => new TransposedLinear(inFeatures, outFeatures, kind == LayerKind.Transposed, TestDevice.Current, type),
        };
        using var noGrad = no_grad();
        foreach (TorchSharp.Modules.Parameter parameter in layer.parameters()) Noise.Fill(parameter, seed++, 0.6);
        return layer;
    }
}
