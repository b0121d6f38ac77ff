using Lora.Layers;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>The norms of the rows of W + s·B·A, which is never formed, against that matrix in float64.</summary>
public sealed class RowNormTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    // Large enough that a half-precision weight is widened in several pieces, along rows and along columns.
    [Theory]
    [InlineData(false, ScalarType.Float32, 2e-6)]
    [InlineData(true, ScalarType.Float32, 2e-6)]
    [InlineData(false, ScalarType.BFloat16, 2e-6)]
    [InlineData(true, ScalarType.BFloat16, 2e-6)]
    [InlineData(false, ScalarType.Float16, 2e-6)]
    [InlineData(true, ScalarType.Float64, 1e-14)]
    public void They_are_exact_but_for_rounding(bool transposed, ScalarType type, double tolerance)
    {
        const long In = 1300, Out = 1700;
        nn.Module<Tensor, Tensor> linear = (transposed ? LayerKind.Transposed : LayerKind.Linear).Make(In, Out, type);
        LinearView view = LinearView.Of(linear)!;
        using LoraAdapter adapter = Adapter(In, Out, type);
        Tensor weight = transposed ? view.Weight.t() : view.Weight;
        Tensor expected = linalg.vector_norm(weight.to(ScalarType.Float64) + adapter.B.to(ScalarType.Float64).matmul(adapter.A.to(ScalarType.Float64)) * adapter.Scale, 2, [1]);
        Tensor actual = RowNorms.Of(new LinearWeight(view), adapter);
        Assert.Equal(type == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32, actual.dtype);
        Assert.False(actual.requires_grad);
        Assert.InRange(Adapted.Difference(actual / expected, ones_like(expected)), 0, tolerance);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void An_update_that_cancels_the_weight_gives_no_NaN(ScalarType type)
    {
        const long In = 40, Out = 30;
        using LoraAdapter adapter = Adapter(In, Out, type);
        var linear = (Linear)LayerKind.Linear.Make(In, Out, type);
        using var noGrad = no_grad();
        linear.weight!.copy_(-adapter.ComputeDelta());
        Tensor norms = RowNorms.Of(new LinearWeight(LinearView.Of(linear)!), adapter), whole = linalg.vector_norm(linear.weight!.to(ScalarType.Float32), 2, [1]);
        Assert.True(norms.isfinite().all().item<bool>());
        Assert.InRange((norms / whole).max().item<float>(), 0, 0.01);
    }

    private static LinearAdapter Adapter(long inFeatures, long outFeatures, ScalarType type)
    {
        using var noGrad = no_grad();
        var settings = new AdapterSettings { Rank = 5, Alpha = 3, Scale = 0.6 };
        var adapter = new LinearAdapter("a", inFeatures, outFeatures, settings, AdapterSettings.TypeOver(type), TestDevice.Current);
        Noise.Fill(adapter.A, 7, 1 / Math.Sqrt(inFeatures));
        Noise.Fill(adapter.B, 8, 1);
        return adapter;
    }
}
