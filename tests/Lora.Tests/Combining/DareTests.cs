using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>Dropping values at random: reproducible, right on average, and without touching anybody else's random numbers.</summary>
public sealed class DareTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Methods => ["dare_linear", "dare_ties", "dare_linear_svd", "dare_ties_svd"];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Methods))]
    public void A_seed_gives_the_same_adapter_again(string name)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        double[] Values(long seed)
        {
            lora.Combine("blend", [("a", 0.7), ("b", -0.4)], Options(name, seed));
            double[] values = [.. lora.Layers.SelectMany(layer => Blends.Numbers(layer.Layer.Adapters["blend"].ComputeDelta()))];
            lora.DeleteAdapter("blend");
            return values;
        }
        double[] first = Values(5);
        Assert.Equal(first, Values(5));
        Assert.NotEqual(first, Values(6));
        Assert.NotEqual(first, Values(-5));
    }

    [Theory]
    [InlineData("dare_linear")]
    [InlineData("dare_linear_svd")]
    public void The_mean_over_seeds_is_what_nothing_dropped_gives(string name)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        (string, double)[] weights = [("a", 0.7), ("b", -0.4)];
        lora.Combine("whole", weights, Options(name, 0) with { Density = 1, Rank = Rank(name) });
        Tensor whole = Blends.Adapter(lora, "_first", "whole").ComputeDelta(), sum = zeros_like(whole), squares = zeros_like(whole);
        const int Draws = 400;
        for (int seed = 0; seed < Draws; seed++)
        {
            using var scope = NewDisposeScope();
            lora.Combine("drawn", weights, Options(name, seed) with { Rank = Rank(name) });
            Tensor delta = Blends.Adapter(lora, "_first", "drawn").ComputeDelta();
            sum.add_(delta);
            squares.add_(delta.square());
            lora.DeleteAdapter("drawn");
        }
        Tensor mean = sum.div(Draws), deviation = squares.div(Draws).sub(mean.square()).div(Draws).sqrt();
        // The seeds are fixed, so this is no matter of luck each time.
        Assert.True(mean.sub(whole).abs().sub(deviation.mul(4)).max().item<float>() < 0);
        Assert.True(deviation.min().item<float>() > 0);
    }

    [Fact]
    public void The_density_is_kept_and_what_is_kept_grows()
    {
        var model = new FieldModel(nn.Linear(500, 40, device: TestDevice.Current), nn.Linear(40, 3, device: TestDevice.Current));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.Wrap(model, LoraConfig.AllLinear(rank: 4, alpha: 4));
        lora.Combine("blend", [("a", 1)], Options("dare_linear", 3) with { Density = 0.3 });
        double[] before = Blends.Numbers(Blends.Adapter(lora, "_first", "a").A), after = Blends.Numbers(Blends.Adapter(lora, "_first", "blend").A);
        int kept = after.Count(value => value != 0);
        Assert.InRange(kept, 600 - (5 * 21), 600 + (5 * 21));
        Assert.All(before.Zip(after).Where(pair => pair.Second != 0), pair => Assert.Equal(pair.First / 0.3, pair.Second, 1e-6));
    }

    private static int? Rank(string name) => name.EndsWith("svd", StringComparison.Ordinal) ? TestModels.Middle : null;

    private static CombineOptions Options(string name, long seed) => new() { Method = CombineMethod.All.Single(method => method.Name == name), Density = 0.6, Seed = seed };
}
