using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Models;

/// <summary>Adapters that change something, and exact comparison.</summary>
internal static class Adapted
{
    /// <summary>Rank and alpha differ, so does the rank from 1.</summary>
    public static LoraConfig Config { get; } = LoraConfig.AllLinear(rank: 2, alpha: 5);

    /// <summary>Wraps a model and fills every A and B, which is zero at first.</summary>
    public static LoraModel<TModel> Wrap<TModel>(TModel model, LoraConfig? config = null, WrapOptions? options = null)
        where TModel : nn.Module
    {
        LoraModel<TModel> lora = LoraModel.Wrap(model, config ?? Config, options);
        Fill(lora);
        return lora;
    }

    public static void Fill<TModel>(LoraModel<TModel> lora, int seed = 50)
        where TModel : nn.Module
    {
        using var noGrad = no_grad();
        foreach (AdapterLayer layer in lora.Layers)
        {
            foreach ((_, Parameter parameter) in layer.Layer.Adapter.FileTensors) Noise.Fill(parameter, seed++, 0.5 / Math.Sqrt(Noise.Places(parameter)));
        }
    }

    public static byte[] Bits(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.detach().cpu().contiguous().bytes.ToArray();
    }

    /// <summary>Every tensor of a module by name, in order, with the bytes.</summary>
    public static IReadOnlyList<(string Name, string Bits)> Weights(nn.Module module) =>
        [.. module.state_dict().Select(pair => (pair.Key, Convert.ToHexString(Bits(pair.Value))))];

    public static IReadOnlyList<(string Name, bool Trains)> Flags(nn.Module module) =>
        [.. module.named_parameters().Select(p => (p.name, p.parameter.requires_grad))];

    public static void AssertSame(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        Assert.Equal(Bits(expected), Bits(actual));
    }

    public static void AssertClose(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        (double difference, double allowed) = (Difference(expected, actual), Tolerance(expected.dtype));
        Assert.True(difference <= allowed, $"The largest difference is {difference:G4}, allowed is {allowed:G4}.");
    }

    public static double Difference(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        return a.detach().to(ScalarType.Float64).sub(b.detach().to(ScalarType.Float64)).abs().max().item<double>();
    }

    // For values around 1 after two layers: a few units in the last place.
    private static double Tolerance(ScalarType type) => type switch
    {
        ScalarType.Float64 => 2e-15,
        ScalarType.Float32 => 1e-6,
        ScalarType.BFloat16 => 4e-2,
        _ => throw new NotSupportedException($"There is no tolerance for {type}."),
    };
}
