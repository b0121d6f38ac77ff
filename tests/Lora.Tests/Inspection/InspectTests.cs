using Lora.Layers;
using Lora.Tests.Conversion;
using Lora.Tests.Layers.Parameters;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Inspection;

/// <summary>The numbers of an adapter, compared with those of ΔW as a whole in float64.</summary>
[Collection(Alone.Name)]
public sealed class InspectTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<LayerKind> Kinds => [.. Enum.GetValues<LayerKind>()];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void All_kinds_of_layers(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model) with { Rank = 2, Alpha = 3, UseRankStabilizedScaling = true }, kind.Options(model));
        lora.SetScale("default", -1.5);
        AdapterInspection inspection = lora.Inspect("default");
        Assert.Equal("default", inspection.Adapter);
        Assert.Empty(inspection.Undefined);
        Assert.Equal(lora.Layers.Select(layer => layer.Path), inspection.Layers.Select(layer => layer.Path).Distinct());
        double squares = 0;
        foreach (AdapterLayer layer in lora.Layers)
        {
            LayerInspection[] parts = [.. inspection.Layers.Where(part => part.Path == layer.Path)];
            Tensor delta = layer.Layer.Adapter.ComputeDelta().to(ScalarType.Float64);
            using var weight = layer.Layer.BaseLayer.get_parameter("weight")!;
            // All parts together are the whole, of weights that have a pair.
            Assert.Equal(TwoModels.Norm(delta), Math.Sqrt(parts.Sum(part => part.DeltaNorm * part.DeltaNorm)), 1e-5);
            if (!kind.IsFused()) Assert.Equal(TwoModels.Norm(weight), Math.Sqrt(parts.Sum(part => part.WeightNorm * part.WeightNorm)), 1e-9);
            foreach ((LayerInspection part, Tensor matrix, Tensor own) in parts.Zip(Matrices(kind, layer, delta, weight)).Select(pair => (pair.First, pair.Second.Delta, pair.Second.Weight)))
            {
                AssertNumbers(part, matrix, own);
                Assert.Equal(layer.Layer.Adapter.Scale, part.Scale);
                Assert.Equal(layer.Layer.BaseLayer.GetType().Name, part.Kind);
            }
            squares += TwoModels.Norm(delta) * TwoModels.Norm(delta);
        }
        Assert.Equal(Math.Sqrt(squares), inspection.DeltaNorm, 1e-5);
        Assert.Equal(kind switch { LayerKind.FusedLinear or LayerKind.FusedTransposed => ["part 0", "part 2"], LayerKind.Conv2dGrouped or LayerKind.ConvTranspose2dGrouped => ["group 0", "group 1"], _ => new string?[] { null } }, inspection.Layers.Where(part => part.Path == "_first").Select(part => part.Part));
    }

    [Fact]
    public void The_weights_of_an_attention()
    {
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(AttentionModel.Make(swap: true), AttentionModel.Config));
        AdapterInspection inspection = lora.Inspect("default");
        Assert.Equal([("_first", "in_proj"), ("_first", "out_proj"), ("_second", "in_proj"), ("_second", "out_proj")], inspection.Layers.Select(layer => (layer.Path, layer.Part!)));
        foreach (LayerInspection part in inspection.Layers)
        {
            ILoraLayer layer = lora.Layers.Single(layer => layer.Path == part.Path).Layer;
            AssertNumbers(part, ((CompositeAdapter)layer.Adapter).Part(part.Part!)!.ComputeDelta().to(ScalarType.Float64), LoraMultiheadAttention.WeightOf(layer.BaseLayer, part.Part!), 1e-12);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Raw_parameters_expert_by_expert(bool transposed)
    {
        LoraConfig config = new() { Rank = 2, Alpha = 5, TargetParameters = ModuleSelector.EndsWith("gate", "up"), RankPattern = new Dictionary<string, int> { ["gate"] = 3 } };
        using LoraModel<MixtureModel> lora = LoraModel.Wrap(new MixtureModel(transposed: transposed), config);
        int seed = 90;
        CompositeAdapter adapter = Assert.IsType<CompositeAdapter>(Assert.Single(lora.Layers).Layer.Adapter);
        foreach (var parameter in adapter.FileTensors.Select(tensor => tensor.Value)) Noise.Fill(parameter, seed++, 0.5);
        IReadOnlyList<LayerInspection> parts = lora.Inspect("default").Layers;
        Assert.Equal(["gate", "up expert 0", "up expert 1", "up expert 2"], parts.Select(part => part.Part!).Order());
        foreach (LayerInspection part in parts)
        {
            string name = part.Part!.Split(' ')[0];
            Tensor delta = adapter.Part(name)!.ComputeDelta().to(ScalarType.Float64), weight = lora.Model.Mix.get_parameter(name)!;
            if (name == "up") (delta, weight) = (delta[int.Parse(part.Part[^1..], null)], weight[int.Parse(part.Part[^1..], null)]);
            AssertNumbers(part, delta, weight, 1e-12);
            Assert.Equal(name == "up" ? 2 : 3, part.Rank);
        }
    }

    [Fact]
    public void Effective_and_significant_rank()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field, type: ScalarType.Float64), Adapted.Config with { Rank = 3, Alpha = 3 });
        LoraAdapter adapter = lora.Layers[0].Layer.Adapter;
        Diagonal(adapter, 2, 2, 2);
        Assert.Equal(3, lora.Inspect("default").Layers[0].EffectiveRank, 1e-12);
        Diagonal(adapter, 4, 0, 0);
        Assert.Equal((1.0, 1, 4.0, 4.0), Numbers());
        Diagonal(adapter, 3, 0.02, 0.04);
        double[] p = [3 / 3.06, 0.04 / 3.06, 0.02 / 3.06];
        Assert.Equal(Math.Exp(-p.Sum(value => value * Math.Log(value))), lora.Inspect("default").Layers[0].EffectiveRank, 1e-12);
        Assert.Equal(2, lora.Inspect("default").Layers[0].SignificantRank);
        Assert.Equal(3, lora.Inspect("default", new InspectOptions { Threshold = 0.001 }).Layers[0].SignificantRank);
        Diagonal(adapter, 0, 0, 0);
        Assert.Equal((0.0, 0, 0.0, 0.0), Numbers());
        Assert.Equal(0, lora.Inspect("default").Layers[0].RelativeNorm);

        (double, int, double, double) Numbers() => lora.Inspect("default").Layers[0] is var layer ? (Math.Round(layer.EffectiveRank, 12), layer.SignificantRank, layer.SpectralNorm, layer.DeltaNorm) : default;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_start_that_is_a_part_of_the_base_is_taken_off(bool writesBase)
    {
        AdapterInitialization start = AdapterInitialization.Pissa;
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { Initialization = start with { WritesBase = writesBase } });
        Assert.All(lora.Inspect("default").Layers, layer => Assert.InRange(layer.DeltaNorm, 0, 1e-5));
        int seed = 40;
        foreach (AdapterLayer layer in lora.Layers) Noise.Fill(layer.Layer.Adapter.B, seed++, 0.5);
        foreach ((AdapterLayer layer, LayerInspection part) in lora.Layers.Zip(lora.Inspect("default").Layers))
        {
            Assert.Equal(TwoModels.Norm(layer.Layer.Adapter.ComputeDelta()), part.DeltaNorm, 1e-5);
            Assert.Equal(TwoModels.Norm(TestModels.Make(Holder.Field).state_dict()[layer.Path + ".weight"]), part.WeightNorm, 1e-6);
        }
    }

    [Fact]
    public void The_pair_of_an_adapter_with_magnitudes_is_measured_alone()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { UseDora = true });
        foreach ((AdapterLayer layer, LayerInspection part) in lora.Layers.Zip(lora.Inspect("default").Layers))
            Assert.Equal(TwoModels.Norm(layer.Layer.Adapter.ComputeDelta()), part.DeltaNorm, 1e-5);
    }

    [Fact]
    public void What_moved_most_comes_first()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        using (no_grad()) lora.Layers[1].Layer.Adapter.B.mul_(100);
        AdapterInspection inspection = lora.Inspect("default");
        Assert.Equal(["_second", "_first"], inspection.MostMoved(5).Select(layer => layer.Path));
        Assert.Equal("_second", Assert.Single(inspection.MostMoved(1)).Path);
        // A rank above the sides of the weight is no trouble.
        lora.AddAdapter("wide", Adapted.Config with { Rank = 9 });
        Assert.All(lora.Inspect("wide").Layers, layer => Assert.Equal((9, 0.0), (layer.Rank, layer.DeltaNorm)));
    }

    [Fact]
    public void Refusals()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        Assert.Equal("There is no adapter 'x'; there is 'default'. (Parameter 'names')", Assert.Throws<ArgumentException>(() => lora.Inspect("x")).Message);
        Assert.Equal("Threshold must be from 0 to 1, but is 1.5. (Parameter 'options')", Assert.Throws<ArgumentException>(() => lora.Inspect("default", new InspectOptions { Threshold = 1.5 })).Message);
        lora.Merge();
        Assert.Equal("Adapter 'default' is merged into the base weights, with which 'default' would be compared: unmerge it first.", Assert.Throws<InvalidOperationException>(() => lora.Inspect("default")).Message);
    }

    [Fact]
    public void Nothing_stays_alive_and_no_product_is_formed()
    {
        const long Width = 2000;
        foreach (LayerKind kind in new[] { LayerKind.Linear, LayerKind.FusedLinear, LayerKind.Conv2dGrouped, LayerKind.Embedding })
        {
            using nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
            using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model), kind.Options(model));
            Leaks.AssertNone(5, () => lora.Inspect("default"));
        }
        using LoraModel<nn.Module<Tensor, Tensor>> wide = Adapted.Wrap<nn.Module<Tensor, Tensor>>(new FieldModel(nn.Linear(Width, Width), nn.Linear(Width, 2)), LoraConfig.AllLinear(rank: 4, alpha: 2));
        // The weight is looked at in pieces of 8 MiB.
        Assert.InRange(AllocatedMemory.PeakOf(() => wide.Inspect("default")), 1, Width * Width * sizeof(double) - 1);
    }

    private static void AssertNumbers(LayerInspection part, Tensor delta, Tensor weight, double tolerance = 1e-5)
    {
        double[] expected = TwoModels.Singular(delta);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], i < part.SingularValues.Count ? part.SingularValues[i] : 0, tolerance);
        double sum = expected.Sum();
        Assert.Equal(TwoModels.Norm(delta), part.DeltaNorm, tolerance);
        Assert.Equal(TwoModels.Norm(weight), part.WeightNorm, 1e-9);
        Assert.Equal(TwoModels.Norm(delta) / TwoModels.Norm(weight), part.RelativeNorm, tolerance);
        Assert.Equal(expected[0], part.SpectralNorm, tolerance);
        Assert.Equal(Math.Exp(-expected.Where(s => s > 1e-9).Sum(s => s / sum * Math.Log(s / sum))), part.EffectiveRank, 20 * tolerance);
    }

    // ΔW and W of each part, as matrices [out, in·k…].
    private static IEnumerable<(Tensor Delta, Tensor Weight)> Matrices(LayerKind kind, AdapterLayer layer, Tensor delta, Tensor weight)
    {
        if (kind.IsFused())
        {
            long width = delta.shape[0];
            Tensor rows = kind == LayerKind.FusedTransposed ? weight.t() : weight;
            return [(delta.narrow(0, 0, 1), rows.narrow(0, 0, 1)), (delta.narrow(0, width - 1, 1), rows.narrow(0, width - 1, 1))];
        }
        if (kind is LayerKind.Conv2dGrouped or LayerKind.ConvTranspose2dGrouped)
        {
            long half = delta.shape[0] / 2;
            return Enumerable.Range(0, 2).Select(i => (AsMatrix(delta.narrow(0, i * half, half)), weight.narrow(0, i * half, half)));
        }
        return [(AsMatrix(delta), weight)];

        Tensor AsMatrix(Tensor tensor) => kind is LayerKind.ConvTranspose1d or LayerKind.ConvTranspose2dGrouped or LayerKind.ConvTranspose3d && layer.Layer is LoraConvTranspose ? tensor.transpose(0, 1).flatten(1) : tensor.flatten(1);
    }

    // Singular values of one's choice.
    private static void Diagonal(LoraAdapter adapter, params double[] values)
    {
        using var noGrad = no_grad();
        adapter.A.zero_();
        adapter.B.zero_();
        for (int i = 0; i < values.Length; i++)
        {
            adapter.A[i, i].fill_(1);
            adapter.B[i, i].fill_(values[i]);
        }
    }
}
