using Lora.Injection;
using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Models;

/// <summary>The layers that can be adapted.</summary>
public enum LayerKind
{
    Linear,
    LinearWithoutBias,
    Transposed,
    TransposedWithoutBias,
    FusedLinear,
    FusedTransposed,
    Embedding,
    EmbeddingWithPadding,
    Conv1d,
    Conv1dReplicated,
    Conv2dRectangular,
    Conv2dWithoutBias,
    Conv2dPointwise,
    Conv2dDilated,
    Conv2dCircular,
    Conv2dSame,
    Conv2dGrouped,
    Conv3d,
    Conv3dPointwise,
    ConvTranspose1d,
    ConvTranspose2dGrouped,
    ConvTranspose3d,
}

internal static class LayerKindExtensions
{
    /// <summary>Those of a plain linear layer with one term.</summary>
    public static bool IsLinear(this LayerKind kind) => kind <= LayerKind.TransposedWithoutBias;

    public static bool IsEmbedding(this LayerKind kind) => kind is LayerKind.Embedding or LayerKind.EmbeddingWithPadding;

    public static bool IsFused(this LayerKind kind) => kind is LayerKind.FusedLinear or LayerKind.FusedTransposed;

    public static bool HasBias(this LayerKind kind) =>
        kind is not (LayerKind.LinearWithoutBias or LayerKind.TransposedWithoutBias or LayerKind.Conv2dWithoutBias) && !kind.IsEmbedding();

    /// <summary>Those for which DoRA is defined.</summary>
    public static bool HasDora(this LayerKind kind) => !kind.IsFused() && kind < LayerKind.ConvTranspose1d;

    /// <summary>What can follow a layer of this kind: indices come first only.</summary>
    public static LayerKind Following(this LayerKind kind) => kind.IsEmbedding() ? LayerKind.Linear : kind;

    /// <summary>A layer with a bias that is not zero, where it has one. Layers with two groups have even widths.</summary>
    public static nn.Module<Tensor, Tensor> Make(this LayerKind kind, long inFeatures, long outFeatures, ScalarType type = ScalarType.Float32, int seed = 1)
    {
        (long @in, long @out, Device device) = (inFeatures, outFeatures, TestDevice.Current);
        if (kind is LayerKind.Conv2dGrouped or LayerKind.ConvTranspose2dGrouped) (@in, @out) = (@in - (@in % 2), @out - (@out % 2));
        nn.Module<Tensor, Tensor> layer = kind switch
        {
            LayerKind.Linear or LayerKind.LinearWithoutBias or LayerKind.FusedLinear => nn.Linear(@in, @out, kind != LayerKind.LinearWithoutBias, device, type),
            LayerKind.Embedding => nn.Embedding(@in, @out, device: device, dtype: type),
            LayerKind.EmbeddingWithPadding => nn.Embedding(@in, @out, padding_idx: 2, device: device, dtype: type),
            LayerKind.Conv1d => nn.Conv1d(@in, @out, 3, stride: 2, padding: 1, device: device, dtype: type),
            LayerKind.Conv1dReplicated => nn.Conv1d(@in, @out, 3, padding: 1, padding_mode: PaddingModes.Replicate, device: device, dtype: type),
            LayerKind.Conv2dRectangular => nn.Conv2d(@in, @out, (3, 2), (2, 1), (1, 1), (1, 1), device: device, dtype: type),
            LayerKind.Conv2dWithoutBias => nn.Conv2d(@in, @out, 2, bias: false, device: device, dtype: type),
            LayerKind.Conv2dPointwise => nn.Conv2d(@in, @out, 1, stride: 2, device: device, dtype: type),
            LayerKind.Conv2dDilated => nn.Conv2d(@in, @out, 3, padding: 1, dilation: 2, device: device, dtype: type),
            LayerKind.Conv2dCircular => nn.Conv2d(@in, @out, 3, padding: 1, padding_mode: PaddingModes.Circular, device: device, dtype: type),
            LayerKind.Conv2dSame => nn.Conv2d(@in, @out, (3, 2), Padding.Same, (1, 1), (1, 2), device: device, dtype: type),
            LayerKind.Conv2dGrouped => nn.Conv2d(@in, @out, 3, padding: 1, groups: 2, device: device, dtype: type),
            LayerKind.Conv3d => nn.Conv3d(@in, @out, (2, 1, 2), (1, 2, 1), (1, 0, 1), (1, 1, 1), device: device, dtype: type),
            LayerKind.Conv3dPointwise => nn.Conv3d(@in, @out, 1, device: device, dtype: type),
            LayerKind.ConvTranspose1d => nn.ConvTranspose1d(@in, @out, 3, stride: 2, padding: 1, output_padding: 1, device: device, dtype: type),
            LayerKind.ConvTranspose2dGrouped => nn.ConvTranspose2d(@in, @out, (3, 2), (1, 2), (1, 0), (0, 1), (2, 1), groups: 2, device: device, dtype: type),
            LayerKind.ConvTranspose3d => nn.ConvTranspose3d(@in, @out, 2, stride: 2, padding: 1, device: device, dtype: type),
            _ => new TransposedLinear(@in, @out, kind != LayerKind.TransposedWithoutBias, device, type),
        };
        using var noGrad = no_grad();
        foreach (Parameter parameter in layer.parameters()) Noise.Fill(parameter, seed++, 0.6 / Math.Sqrt(Noise.Places(parameter)));
        return layer;
    }

    /// <summary>An input of the first layer: for 3 dimensions a batch, for 2 none, or one of fewer dimensions.</summary>
    public static Tensor Input(this LayerKind kind, int dimensions, ScalarType type)
    {
        if (kind.IsLinear() || kind.IsFused()) return TestModels.Input(dimensions, type);
        if (kind.IsEmbedding()) return dimensions == 2 ? tensor(new long[] { 3, 0, 2, 3 }, device: TestDevice.Current) : tensor(new long[] { 6, 2, 2, 1, 0, 4 }, [2, 3], device: TestDevice.Current);
        long channels = kind is LayerKind.Conv2dGrouped or LayerKind.ConvTranspose2dGrouped ? TestModels.In - 1 : TestModels.In;
        long[] places = kind switch
        {
            LayerKind.Conv1d or LayerKind.Conv1dReplicated => [9],
            LayerKind.ConvTranspose1d => [4],
            LayerKind.Conv3d or LayerKind.Conv3dPointwise => [3, 4, 3],
            LayerKind.ConvTranspose3d => [3, 2, 3],
            LayerKind.ConvTranspose2dGrouped => [3, 2],
            LayerKind.Conv2dDilated => [7, 6],
            _ => [6, 5],
        };
        // torch pads circularly with a batch only.
        if (kind == LayerKind.Conv2dCircular && dimensions == 2) return Noise.Fill(empty([1, channels, .. places], type, TestDevice.Current), seed: 41, range: 1.7);
        return Noise.Fill(empty(dimensions == 2 ? [channels, .. places] : [2, channels, .. places], type, TestDevice.Current), seed: 40, range: 1.7);
    }

    /// <summary>A configuration for all layers of a model.</summary>
    public static LoraConfig Config(this LayerKind kind, nn.Module model, Variant variant = Variant.Plain)
    {
        string[] layers = [.. ModuleWalker.Walk(model).Where(site => !site.Module.named_children().Any() && site.Module.parameters().Any()).Select(site => site.Path)];
        LoraConfig config = kind.IsLinear() ? Adapted.Config : Adapted.Config with { TargetModules = ModuleSelector.EndsWith(layers) };
        return variant switch
        {
            Variant.RankStabilized => config with { UseRankStabilizedScaling = true },
            Variant.LoraBias => config with { UseLoraBias = true },
            Variant.Dora => config with { UseDora = true },
            Variant.Kasa => config with { Kasa = new KasaOptions() },
            Variant.Patterns => config with { RankPattern = new Dictionary<string, int> { [layers[0]] = 4 }, AlphaPattern = new Dictionary<string, double> { [layers[^1]] = 3 } },
            _ => config,
        };
    }

    /// <summary>What is needed beside the configuration.</summary>
    public static WrapOptions Options(this LayerKind kind, nn.Module model) => kind switch
    {
        LayerKind.FusedLinear or LayerKind.FusedTransposed => new() { LayerKinds = [.. ModuleWalker.Walk(model).Where(site => LinearView.Of(site.Module) is not null).Select(Fused)] },
        LayerKind.EmbeddingWithPadding => new() { PaddingIndices = new Dictionary<string, long> { [ModuleWalker.Walk(model).First(site => site.Module is Embedding).Path] = 2 } },
        _ => new(),
    };

    private static FusedLinearKind Fused(ModuleSite site) =>
        new(ModuleSelector.EndsWith(site.Path), [true, false, true], [1, LinearView.Of(site.Module)!.OutFeatures - 2, 1]);
}
