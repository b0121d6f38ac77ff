using Lora.Layers;
using Lora.Tests.Combining;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Conversion;

/// <summary>An adapter at a lower rank: the best there is, exact where the rank is enough, whatever the kind of layer.</summary>
[Collection(Alone.Name)]
public sealed class ReduceRankTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<LayerKind> Kinds => [.. Enum.GetValues<LayerKind>()];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_rank_that_is_enough_changes_nothing(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
        bool bias = !kind.IsFused() && !kind.IsEmbedding();
        LoraConfig config = kind.Config(model, bias ? Variant.LoraBias : Variant.Plain) with { Rank = 4, UseRankStabilizedScaling = true };
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, config, kind.Options(model));
        lora.SetScale("default", 1.5);
        Tensor input = kind.Input(3, ScalarType.Float32), before = model.call(input);
        CombineResult result = lora.ReduceRank("default", rank: 4);
        Assert.Equal("default", result.Name);
        Assert.Equal(["default"], lora.ActiveAdapters);
        Adapted.AssertRelativelyClose(before, model.call(input));
        Assert.All(result.Layers, layer => Assert.InRange(layer.TruncationError, 0, 1e-6));
        Assert.All(lora.Layers, layer => Assert.Equal(1, layer.Layer.Adapter.Scale));
    }

    [Theory]
    [InlineData(LayerKind.Linear)]
    [InlineData(LayerKind.Embedding)]
    [InlineData(LayerKind.Conv2dRectangular)]
    public void It_is_the_best_of_its_rank_and_its_error_is_told(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model) with { Rank = 3 });
        CombineResult result = lora.ReduceRank("default", "small", rank: 2);
        Assert.Equal(("small", 3), (result.Name, lora.Layers[0].Rank));
        Assert.Equal(["default", "small"], lora.AdapterNames);
        Assert.Equal(["default"], lora.ActiveAdapters);
        foreach ((AdapterLayer layer, CombinedLayer told) in lora.Layers.Zip(result.Layers))
        {
            Tensor whole = layer.Layer.Adapters["default"].ComputeDelta().to(ScalarType.Float64), reduced = layer.Layer.Adapters["small"].ComputeDelta().to(ScalarType.Float64);
            double[] s = TwoModels.Singular(whole.flatten(1));
            double lost = Math.Sqrt(s.Skip(2).Sum(value => value * value));
            Assert.Equal((layer.Path, 2), (told.Path, layer.Layer.Adapters["small"].Rank));
            Assert.Equal(lost, told.TruncationError, 1e-6);
            Assert.Equal(lost / TwoModels.Norm(whole), told.RelativeTruncationError, 1e-6);
            Assert.Equal(lost, TwoModels.Norm(whole.sub(reduced)), 1e-5);
        }
    }

    [Theory]
    [InlineData(0.6)]
    [InlineData(0.99)]
    public void The_energy_decides_layer_by_layer(double threshold)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.Wrap(Blends.Model(), LoraConfig.AllLinear(rank: 3, alpha: 5));
        foreach (CombinedLayer layer in lora.ReduceRank("a", "small", energyThreshold: threshold).Layers)
        {
            double[] energies = [.. TwoModels.Singular(Blends.Adapter(lora, layer.Path, "a").ComputeDelta().to(ScalarType.Float64)).Select(s => s * s)];
            Assert.True(energies.Take(layer.Rank).Sum() >= (threshold - 1e-6) * energies.Sum());
            Assert.True(energies.Take(layer.Rank - 1).Sum() < threshold * energies.Sum());
        }
        Assert.All(lora.ReduceRank("a", "one", rank: 1, energyThreshold: threshold).Layers, layer => Assert.Equal(1, layer.Rank));
    }

    [Fact]
    public void In_its_place_it_keeps_its_place_and_whether_it_trains()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        lora.SetActive("c", "a");
        lora.SetTrainable(false, "a");
        lora.ReduceRank("a", rank: 1);
        Assert.Equal(["a", "b", "c"], lora.AdapterNames);
        Assert.Equal(["c", "a"], lora.ActiveAdapters);
        Assert.Equal((1, 1.0), (lora.ConfigOf("a").Rank, lora.ConfigOf("a").Alpha));
        Assert.All(lora.Layers, layer => Assert.Equal(["a", "b", "c"], layer.Layer.Adapters.Select(adapter => adapter.AdapterName)));
        Assert.False(Blends.Adapter(lora, "_first", "a").A.requires_grad);
        lora.ReduceRank("b", "small", rank: 1);
        Assert.True(Blends.Adapter(lora, "_first", "small").A.requires_grad);
    }

    [Fact]
    public void What_cannot_be_reduced_is_refused_with_every_reason()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { Bias = BiasKind.All });
        Refused<ArgumentException>("There is no adapter 'x'; there is 'default'. (Parameter 'names')", () => lora.ReduceRank("x", rank: 1));
        Refused<ArgumentException>("The rank of adapter 'default' cannot be reduced: give rank or energyThreshold, or both. (Parameter 'rank')", () => lora.ReduceRank("default"));
        Refused<ArgumentException>(
            "The rank of adapter 'default' cannot be reduced:\n  - there is an adapter 'default' already: delete or rename it, or choose another name\n  - Rank must be at least 1, but is 0\n"
            + "  - EnergyThreshold must be above 0 and at most 1, but is 2\n  - 'default' has bias \"all\", which cannot be combined (Parameter 'name')",
            () => lora.ReduceRank("default", "default", rank: 0, energyThreshold: 2));
        Assert.Equal(["default"], lora.AdapterNames);
        using LoraModel<nn.Module<Tensor, Tensor>> dora = Adapted.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { UseDora = true });
        Assert.Contains("'default' has use_dora true, which cannot be combined", Assert.Throws<ArgumentException>(() => dora.ReduceRank("default", rank: 1)).Message);
    }

    [Fact]
    public void A_merged_adapter_is_reduced_under_another_name_only()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.Merge();
        Refused<InvalidOperationException>("Adapter 'default' is merged into the base weights: unmerge it before reducing its rank, or give the reduced one a name of its own.", () => lora.ReduceRank("default", rank: 1));
        lora.ReduceRank("default", "small", rank: 1);
        Assert.Equal(["default", "small"], lora.AdapterNames);
    }

    [Fact]
    public void An_attention_has_several_matrices_and_is_refused()
    {
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(AttentionModel.Make(swap: true), AttentionModel.Config with { TargetModules = ModuleSelector.EndsWith("_first.in_proj", "_second.in_proj") }));
        Refused<ArgumentException>(
            "The rank of adapter 'default' cannot be reduced:\n  - 'default' on '_first', a CompositeAdapter, is no pair of factors that can be combined: leave the layer out of its targets\n"
            + "  - 'default' on '_second', a CompositeAdapter, is no pair of factors that can be combined: leave the layer out of its targets (Parameter 'name')",
            () => lora.ReduceRank("default", rank: 1));
    }

    [Fact]
    public void Nothing_stays_alive_and_the_whole_matrix_is_never_formed()
    {
        const long Width = 2000;
        using (nn.Module<Tensor, Tensor> model = Blends.Model())
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, LoraConfig.AllLinear(rank: 3, alpha: 5)))
        {
            Leaks.AssertNone(5, () => lora.ReduceRank("default", rank: 2));
            Leaks.AssertNone(5, () => Assert.Throws<ArgumentException>(() => lora.ReduceRank("default", rank: 0)));
        }
        using LoraModel<nn.Module<Tensor, Tensor>> wide = Adapted.Wrap<nn.Module<Tensor, Tensor>>(new FieldModel(nn.Linear(Width, Width), nn.Linear(Width, 2)), LoraConfig.AllLinear(rank: 6, alpha: 2));
        Assert.InRange(AllocatedMemory.PeakOf(() => wide.ReduceRank("default", rank: 3)), 1, Width * Width * sizeof(float) / 4);
    }

    private static void Refused<TException>(string message, Action action)
        where TException : Exception => Assert.Equal(message, Assert.Throws<TException>(action).Message);
}
