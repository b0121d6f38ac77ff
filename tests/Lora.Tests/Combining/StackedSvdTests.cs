using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>The decomposition from the factors: best at its rank, with its error told, at a rank that can be chosen by energy, without ever forming ΔW.</summary>
[Collection(Alone.Name)]
public sealed class StackedSvdTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void The_error_is_that_of_the_singular_values_left_out(int rank)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfSeveralRanks(Blends.Model());
        CombineResult result = lora.Combine("blend", [("a", 0.9), ("b", -0.6)], new CombineOptions { Rank = rank });
        double squares = 0;
        foreach (CombinedLayer layer in result.Layers)
        {
            double[] singular = Singular(Whole(lora, layer.Path));
            double cut = Math.Sqrt(singular.Skip(layer.Rank).Sum(s => s * s));
            Assert.Equal(cut, layer.TruncationError, 1e-6);
            Assert.Equal(cut / Math.Sqrt(singular.Sum(s => s * s)), layer.RelativeTruncationError, 1e-6);
            Assert.Equal(cut, Whole(lora, layer.Path).sub(Blends.Adapter(lora, layer.Path, "blend").ComputeDelta()).to(ScalarType.Float64).square().sum().sqrt().item<double>(), 2e-6);
            squares += cut * cut;
        }
        Assert.Equal(Math.Sqrt(squares), result.TruncationError, 1e-6);
        Assert.Equal([rank, Math.Min(rank, TestModels.Out)], result.Layers.Select(layer => layer.Rank));
    }

    [Theory]
    [InlineData(0.3)]
    [InlineData(0.8)]
    [InlineData(0.95)]
    [InlineData(1)]
    public void The_rank_is_the_smallest_that_keeps_the_energy(double threshold)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfSeveralRanks(Blends.Model());
        foreach (CombineMethod method in new[] { CombineMethod.Svd, CombineMethod.MagnitudePruneSvd })
        {
            CombineResult result = lora.Combine("blend", [("a", 0.9), ("b", -0.6)], new CombineOptions { Method = method, Density = method.Blend.Prunes ? 1 : null, EnergyThreshold = threshold });
            foreach (CombinedLayer layer in result.Layers)
            {
                double[] energies = [.. Singular(Whole(lora, layer.Path)).Select(s => s * s)];
                double Kept(int rank) => energies.Take(rank).Sum() / energies.Sum();
                Assert.True(Kept(layer.Rank) >= threshold - 1e-6);
                Assert.True(Kept(layer.Rank - 1) < threshold);
                Assert.Equal(layer.Rank, Blends.Adapter(lora, layer.Path, "blend").Rank);
                Assert.True(layer.RelativeTruncationError <= Math.Sqrt(1 - threshold) + 1e-6);
            }
            lora.DeleteAdapter("blend");
        }
        Assert.All(lora.Combine("two", [("a", 0.9), ("b", -0.6)], new CombineOptions { EnergyThreshold = threshold, Rank = 2 }).Layers, layer => Assert.InRange(layer.Rank, 1, 2));
    }

    [Fact]
    public void What_cancels_leaves_a_zero_adapter_of_rank_1()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        foreach (AdapterLayer layer in lora.Layers)
        {
            using var noGrad = no_grad();
            layer.Layer.Adapters["b"].A.zero_();
            layer.Layer.Adapters["c"].B.zero_();
        }
        CombineResult result = lora.Combine("none", [("b", 1), ("c", 1)], new CombineOptions { EnergyThreshold = 0.9 });
        Assert.All(result.Layers, layer => Assert.Equal((1, 0.0, 0.0), (layer.Rank, layer.TruncationError, layer.RelativeTruncationError)));
        Assert.All(lora.Layers, layer => Assert.Equal(0, layer.Layer.Adapters["none"].ComputeDelta().abs().max().item<float>()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Values_are_clamped_at_a_quantile(bool peft)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        var options = new CombineOptions { Rank = 2, PeftCompatible = peft };
        lora.Combine("free", [("a", 1), ("b", 1)], options);
        lora.Combine("clamped", [("a", 1), ("b", 1)], options with { ClampQuantile = 0.9 });
        foreach (string path in new[] { "_first", "_second" })
        {
            LoraAdapter free = Blends.Adapter(lora, path, "free"), clamped = Blends.Adapter(lora, path, "clamped");
            double[] values = [.. Blends.Numbers(free.B), .. Blends.Numbers(free.A)];
            double[] sorted = [.. values.Select(value => peft ? value : Math.Abs(value)).Order()];
            double place = 0.9 * (sorted.Length - 1);
            double bound = sorted[(int)place] + ((place - (int)place) * (sorted[(int)place + 1] - sorted[(int)place]));
            Assert.All(Blends.Numbers(free.A).Zip(Blends.Numbers(clamped.A)), pair => Assert.Equal(Math.Clamp(pair.First, -bound, bound), pair.Second, 1e-6));
            Assert.All(Blends.Numbers(free.B).Zip(Blends.Numbers(clamped.B)), pair => Assert.Equal(Math.Clamp(pair.First, -bound, bound), pair.Second, 1e-6));
        }
    }

    [Fact]
    public void The_whole_matrix_is_never_formed()
    {
        const long Width = 3000;
        var model = new FieldModel(nn.Linear(Width, Width), nn.Linear(Width, 2));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.Wrap(model, LoraConfig.AllLinear(rank: 4, alpha: 2), LoraConfig.AllLinear(rank: 6, alpha: 3));
        long peak = AllocatedMemory.PeakOf(() => lora.Combine("blend", [("a", 0.5), ("b", 0.5)], new CombineOptions { Rank = 5 }));
        Assert.InRange(peak, 1, Width * Width * sizeof(float) / 4);
    }

    private static Tensor Whole(LoraModel<nn.Module<Tensor, Tensor>> lora, string path) =>
        Blends.Adapter(lora, path, "a").ComputeDelta().mul(0.9).sub(Blends.Adapter(lora, path, "b").ComputeDelta().mul(0.6));

    private static double[] Singular(Tensor matrix) => Blends.Numbers(linalg.svdvals(matrix.to(ScalarType.Float64)));
}
