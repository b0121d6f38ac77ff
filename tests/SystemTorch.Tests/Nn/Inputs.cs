using TorchSharp;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Nn;

/// <summary>Inputs by formula, so that PyTorch can be asked for the same.</summary>
internal static class Inputs
{
    /// <summary>sin(0.7 i + 0.3) in float32.</summary>
    internal static Tensor Wave(params long[] shape) => ((arange(shape.Aggregate(1L, (a, b) => a * b), dtype: ScalarType.Float32) * 0.7f) + 0.3f).sin().reshape(shape);

    internal static T Filled<T>(T module)
        where T : nn.Module
    {
        using IDisposable _ = no_grad();
        foreach ((string _, TorchSharp.Modules.Parameter parameter) in module.named_parameters()) parameter.copy_(Wave(parameter.shape));
        return module;
    }

    internal static float[] First(this Tensor tensor, int count) => tensor.detach().reshape(-1).narrow(0, 0, count).to(ScalarType.Float32).data<float>().ToArray();

    internal static void Close(float[] expected, Tensor actual, float by = 1e-4f)
    {
        float[] got = actual.First(expected.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - got[i]) <= by, $"element {i}: expected {expected[i]}, got {got[i]} ({string.Join(" ", got)})");
    }
}
