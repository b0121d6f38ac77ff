using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Models;

/// <summary>Numbers that are the same on every device and do not touch torch's generator, which tests that run at the same time share.</summary>
internal static class Noise
{
    /// <summary>The elements of a kernel, of which as many are added up in a convolution; 1 for a matrix.</summary>
    public static long Places(Tensor tensor) => tensor.shape.Skip(2).Aggregate(1L, (product, size) => product * size);

    /// <summary>Fills a tensor in place, evenly between −range and range.</summary>
    public static Tensor Fill(Tensor target, int seed, double range)
    {
        var generator = new Random(seed);
        double[] values = new double[target.numel()];
        for (int i = 0; i < values.Length; i++) values[i] = ((2 * generator.NextDouble()) - 1) * range;
        using var noGrad = no_grad();
        using Tensor source = tensor(values, target.shape, ScalarType.Float64);
        return target.copy_(source);
    }
}
