using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>Adapters with the shapes of convolutions of one, two and three dimensions, in groups too, are combined as the matrices that they are.</summary>
public sealed class ShapeTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<long, long[]> Shapes => new()
    {
        { 1, [] },
        { 1, [3] },
        { 1, [3, 2] },
        { 1, [1, 1] },
        { 1, [2, 1, 2] },
        { 1, [1, 1, 1] },
        { 2, [3] },
        { 2, [2, 2, 3] },
        { 3, [1, 1] },
    };

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Sums_are_exact(long groups, long[] tail)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(groups, tail);
        (string, double)[] weights = [("a", 0.5), ("b", -0.75)];
        CombineResult side = lora.Combine("cat", weights, new CombineOptions { Method = CombineMethod.Cat });
        CombineResult cut = lora.Combine("svd", weights, new CombineOptions { Rank = 60 });
        lora.Combine("pruned", weights, new CombineOptions { Method = CombineMethod.MagnitudePruneSvd, Density = 1, Rank = 60 });
        Assert.All(side.Layers, layer => Assert.Equal(3 * (int)(2 * groups), layer.Rank));
        Assert.Equal(0, cut.TruncationError, 1e-12);
        foreach (AdapterLayer layer in lora.Layers)
        {
            Tensor Of(string name) => layer.Layer.Adapters[name].ComputeDelta();
            Tensor sum = Of("a").mul(0.5).sub(Of("b").mul(0.75));
            foreach (string name in new[] { "cat", "svd", "pruned" }) Assert.True(Adapted.Difference(sum, Of(name)) < 3e-6, $"{name} differs by {Adapted.Difference(sum, Of(name)):G4}.");
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void What_is_cut_off_is_least_in_each_group(long groups, long[] tail)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(groups, tail);
        // One rank for each group, and a remainder that none of them gets.
        CombineResult result = lora.Combine("blend", [("a", 0.5), ("b", -0.75)], new CombineOptions { Rank = (int)groups + (groups > 1 ? 1 : 0) });
        foreach ((AdapterLayer layer, CombinedLayer combined) in lora.Layers.Zip(result.Layers))
        {
            Tensor Of(string name) => layer.Layer.Adapters[name].ComputeDelta().to(ScalarType.Float64);
            Tensor sum = Of("a").mul(0.5).sub(Of("b").mul(0.75));
            long rows = sum.shape[0] / groups;
            double squares = Enumerable.Range(0, (int)groups).Sum(g => Blends.Numbers(linalg.svdvals(sum.narrow(0, g * rows, rows))).Skip(1).Sum(s => s * s));
            Assert.Equal((int)groups, combined.Rank);
            Assert.Equal(Math.Sqrt(squares), combined.TruncationError, 1e-5);
            Assert.Equal(Math.Sqrt(squares), sum.sub(Of("blend")).square().sum().sqrt().item<double>(), 1e-5);
        }
    }

    [Fact]
    public void Shapes_that_are_no_product_are_refused()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(1, []);
        LoraAdapter adapter = lora.Layers[0].Layer.Adapters["a"];
        Assert.NotNull(adapter.ToLowRank());
        using (no_grad()) adapter.A.unsqueeze_(0);
        ArgumentException exception = Assert.Throws<ArgumentException>(() => lora.Combine("blend", [("a", 1), ("b", 1)]));
        Assert.Equal(
            "The adapters cannot be combined into 'blend':\n  - 'a' on '_first', a Adapter, is no pair of factors that can be combined: leave the layer out of its targets (Parameter 'adapters')",
            exception.Message);
    }

    // Six and twelve outputs, which two and three groups divide; ranks 2 and 4 in each group.
    private static LoraModel<nn.Module<Tensor, Tensor>> Wrap(long groups, long[] tail)
    {
        var model = new FieldModel(LayerKind.Linear.Make(5, 6), LayerKind.Linear.Make(6, 12));
        var options = new WrapOptions { AdapterName = "a", LayerKinds = [new ShapedKind(groups, tail)] };
        LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap<nn.Module<Tensor, Tensor>>(model, LoraConfig.AllLinear(rank: 2 * (int)groups, alpha: 5), options);
        lora.AddAdapter("b", LoraConfig.AllLinear(rank: 4 * (int)groups, alpha: 3));
        int seed = 90;
        foreach (LoraAdapter adapter in lora.Layers.SelectMany(layer => layer.Layer.Adapters))
            foreach (TorchSharp.Modules.Parameter parameter in new[] { adapter.A, adapter.B }) Noise.Fill(parameter, seed++, 0.5);
        return lora;
    }
}
