using Lora.Conversion;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Conversion;

/// <summary>Adapters of the difference of two models: best at their rank, with their error told, for every layout of a weight.</summary>
public sealed class ExtractionTests : IDisposable
{
    private static readonly string[] _layers = ["_first", "_second"];
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<LayerKind> Kinds => [LayerKind.Linear, LayerKind.Transposed, LayerKind.Embedding, LayerKind.Conv1d, LayerKind.Conv2dRectangular, LayerKind.Conv2dDilated, LayerKind.Conv3d, LayerKind.ConvTranspose1d, LayerKind.ConvTranspose3d];

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_adapter_is_the_best_of_its_rank(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> before = TwoModels.Base(kind), after = TwoModels.Tuned(kind);
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], Options(rank: 2));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(TwoModels.Base(kind), _folder["adapter"]);
        Assert.Empty(lora.LoadReport);
        Assert.Equal(_layers, result.Layers.Select(layer => layer.Path));
        foreach (ExtractedLayer layer in result.Layers)
        {
            LayerKind own = layer.Path == "_first" ? kind : kind.Following();
            Tensor delta = TwoModels.Delta(before, after, layer.Path, own);
            double[] s = TwoModels.Singular(delta);
            double lost = Math.Sqrt(s.Skip(2).Sum(value => value * value)), whole = TwoModels.Norm(delta);
            Assert.Equal((2, 2.0), (layer.Rank, TwoModels.Adapter(lora, layer.Path).Alpha));
            Assert.Equal(1, TwoModels.Adapter(lora, layer.Path).Scale);
            Assert.Equal(whole, layer.DeltaNorm, 1e-9);
            Assert.Equal(lost, layer.Error, 1e-6);
            Assert.Equal(lost / whole, layer.RelativeError, 1e-6);
            Assert.Equal(1 - (lost * lost / (whole * whole)), layer.EnergyKept, 1e-9);
            // The error that was told is that of the adapter that was loaded.
            Tensor whole64 = after.state_dict()[layer.Path + ".weight"].to(ScalarType.Float64).sub(before.state_dict()[layer.Path + ".weight"].to(ScalarType.Float64));
            if (own == LayerKind.Transposed) whole64 = whole64.t();
            Assert.Equal(layer.Error, TwoModels.Norm(whole64.sub(TwoModels.Adapter(lora, layer.Path).ComputeDelta())), 1e-5);
        }
        Assert.Equal(Math.Sqrt(result.Layers.Sum(layer => layer.Error * layer.Error)), result.Error, 1e-12);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void At_full_rank_the_base_with_the_adapter_is_the_tuned_model(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> before = TwoModels.Base(kind), after = TwoModels.Tuned(kind);
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], Options(rank: 1000));
        Assert.All(result.Layers, layer => Assert.InRange(layer.RelativeError, 0, 1e-6));
        Assert.Empty(result.Untargeted);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(before, _folder["adapter"]);
        Tensor input = kind.Input(3, ScalarType.Float32);
        Adapted.AssertRelativelyClose(after.call(input), before.call(input));
    }

    [Theory]
    [InlineData(0.5, null)]
    [InlineData(0.9, null)]
    [InlineData(1.0, null)]
    [InlineData(0.9, 2)]
    public void The_rank_is_the_smallest_that_keeps_the_energy(double threshold, int? cap)
    {
        nn.Module<Tensor, Tensor> before = TwoModels.Base(), after = TwoModels.Tuned();
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], Options(cap) with { EnergyThreshold = threshold });
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(before, _folder["adapter"]);
        foreach (ExtractedLayer layer in result.Layers)
        {
            double[] energies = [.. TwoModels.Singular(TwoModels.Delta(TwoModels.Base(), after, layer.Path, LayerKind.Linear)).Select(value => value * value)];
            double Kept(int rank) => energies.Take(rank).Sum() / energies.Sum();
            Assert.True(Kept(layer.Rank - 1) < threshold);
            Assert.True(layer.Rank == cap || Kept(layer.Rank) >= threshold - 1e-12);
            Assert.InRange(layer.Rank, 1, cap ?? 1000);
            Assert.Equal(Kept(layer.Rank), layer.EnergyKept, 1e-9);
            Assert.Equal((layer.Rank, 1.0), (TwoModels.Adapter(lora, layer.Path).Rank, TwoModels.Adapter(lora, layer.Path).Scale));
        }
    }

    [Fact]
    public void A_randomised_decomposition_is_nearly_as_good_and_the_same_each_time()
    {
        nn.Module<Tensor, Tensor> before = new FieldModel(Filled(60, 40, 1), Filled(40, 50, 2)), after = new FieldModel(Filled(60, 40, 1), Filled(40, 50, 2));
        using (no_grad())
        {
            int seed = 60;
            foreach (string name in new[] { "_first.weight", "_second.weight" })
            {
                Tensor weight = after.state_dict()[name];
                weight.add_(Noise.Fill(empty(weight.shape[0], 3), seed++, 1).matmul(Noise.Fill(empty(3, weight.shape[1]), seed++, 1)).to(weight.device)).add_(Noise.Fill(empty(weight.shape), seed++, 0.02).to(weight.device));
            }
        }
        ExtractionResult exact = LoraExtraction.FromModels(before, after, _folder["exact"], Options(rank: 3));
        ExtractionResult random = LoraExtraction.FromModels(before, after, _folder["random"], Options(rank: 3) with { RandomizedIterations = 2 });
        LoraExtraction.FromModels(before, after, _folder["again"], Options(rank: 3) with { RandomizedIterations = 2 });
        foreach ((ExtractedLayer one, ExtractedLayer other) in exact.Layers.Zip(random.Layers))
        {
            Assert.Equal(one.DeltaNorm, other.DeltaNorm, 1e-9);
            Assert.InRange(other.Error, one.Error - 1e-5, 1.001 * one.Error);
            Assert.Equal(1 - (one.RelativeError * one.RelativeError), one.EnergyKept, 1e-6);
            Assert.Equal(one.EnergyKept, other.EnergyKept, 1e-4);
        }
        Assert.Equal(File.ReadAllBytes(Path.Combine(_folder["random"], "adapter_model.safetensors")), File.ReadAllBytes(Path.Combine(_folder["again"], "adapter_model.safetensors")));
        var thrown = Assert.Throws<ArgumentException>(() => LoraExtraction.FromModels(before, after, _folder["x"], new ExtractionOptions { EnergyThreshold = 0.5, RandomizedIterations = -1 }));
        Assert.Equal("No adapter can be extracted:\n  - RandomizedIterations must be at least 0, but is -1\n  - RandomizedIterations needs Rank, up to which singular values are looked for", thrown.Message);

        static nn.Module<Tensor, Tensor> Filled(long input, long output, int seed)
        {
            Linear linear = nn.Linear(input, output, device: TestDevice.Current);
            foreach (Parameter parameter in linear.parameters()) Noise.Fill(parameter, seed++, 0.5);
            return linear;
        }
    }

    [Fact]
    public void Ranks_that_differ_stand_in_patterns_and_the_targets_pick_these_layers_alone()
    {
        ExtractionResult result = LoraExtraction.FromModels(TwoModels.Base(), TwoModels.Tuned(), _folder["adapter"], Options(rank: 4));
        Assert.Equal([4, 3], result.Layers.Select(layer => layer.Rank));
        Assert.Equal((4, 4.0, 3, 3.0), (result.Config.Rank, result.Config.Alpha, result.Config.RankPattern["^_second"], result.Config.AlphaPattern["^_second"]));
        Assert.Equal(ModuleSelector.EndsWith("_first", "_second"), result.Config.TargetModules);
    }

    [Fact]
    public void Half_precision_is_subtracted_exactly_and_the_file_has_the_type_that_was_asked_for()
    {
        nn.Module<Tensor, Tensor> before = TwoModels.Base(type: ScalarType.BFloat16), after = TwoModels.Tuned(type: ScalarType.BFloat16);
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], Options(rank: 9) with { DataType = ScalarType.BFloat16 });
        using var file = Lora.Serialization.SafetensorsFile.Open(Path.Combine(_folder["adapter"], "adapter_model.safetensors"));
        Assert.All(file.Entries, entry => Assert.Equal(Lora.Serialization.SafetensorsType.BF16, entry.Type));
        // What rounding the factors costs is told.
        Assert.All(result.Layers, layer => Assert.InRange(layer.RelativeError, 1e-4, 1e-2));
    }

    [Fact]
    public void Unchanged_targets_get_no_adapter_and_are_listed()
    {
        nn.Module<Tensor, Tensor> after = TwoModels.Tuned();
        using (no_grad()) after.state_dict()["_second.weight"].copy_(TwoModels.Base().state_dict()["_second.weight"]);
        ExtractionResult result = LoraExtraction.FromModels(TwoModels.Base(), after, _folder["adapter"], Options(rank: 2));
        Assert.Equal(["_second"], result.Unchanged);
        Assert.Equal(["_first"], result.Layers.Select(layer => layer.Path));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(TwoModels.Base(), _folder["adapter"]);
        Assert.Equal("_first", Assert.Single(lora.Layers).Path);
    }

    [Fact]
    public void Two_equal_models_have_no_adapter()
    {
        var thrown = Assert.Throws<ArgumentException>(() => LoraExtraction.FromModels(TwoModels.Base(), TwoModels.Base(), _folder["adapter"], Options(rank: 2)));
        Assert.Equal("No adapter can be extracted:\n  - none of the 2 targets differs between the base and the tuned model", thrown.Message);
        Assert.False(Directory.Exists(_folder["adapter"]));
    }

    [Fact]
    public void Every_problem_of_the_settings_is_listed()
    {
        var thrown = Assert.Throws<ArgumentException>(() => LoraExtraction.FromModels(TwoModels.Base(), TwoModels.Tuned(), _folder["adapter"], new ExtractionOptions
        {
            Rank = 0,
            EnergyThreshold = 1.5,
            DataType = ScalarType.Int64,
            Untargeted = (UntargetedDifferences)9,
            ExcludedModules = ModuleSelector.AllLinear,
        }));
        Assert.Equal(
            "No adapter can be extracted:\n  - Rank must be at least 1, but is 0\n  - EnergyThreshold must be above 0 and at most 1, but is 1.5\n"
            + "  - Untargeted must be List, Refuse or Save, but is 9\n  - DataType must be a floating-point type, but is Int64\n  - ExcludedModules cannot be AllLinear: name the modules to leave out",
            thrown.Message);
        thrown = Assert.Throws<ArgumentException>(() => LoraExtraction.FromModels(TwoModels.Base(), TwoModels.Tuned(), _folder["adapter"], new ExtractionOptions()));
        Assert.Equal("No adapter can be extracted:\n  - neither Rank nor EnergyThreshold is set: give one of them, or both", thrown.Message);
    }

    [Fact]
    public void Every_problem_of_the_targets_is_listed()
    {
        nn.Module<Tensor, Tensor> grouped = TwoModels.Base(LayerKind.Conv2dGrouped);
        var thrown = Assert.Throws<ArgumentException>(() =>
            LoraExtraction.FromModels(grouped, TwoModels.Tuned(LayerKind.Conv2dGrouped), _folder["adapter"], Options(rank: 2) with { TargetModules = ModuleSelector.EndsWith("_first", "_secnod") }));
        Assert.Equal(
            "No adapter can be extracted:\n  - '_first' is a Conv2d with 2 groups, whose difference has a pair of factors for each of them, which one adapter cannot hold: leave it out of the targets\n"
            + "  - TargetModules names '_secnod', which the base does not have; did you mean _second?",
            thrown.Message);
    }

    [Fact]
    public void Models_of_different_shape_and_with_adapters_are_refused()
    {
        nn.Module<Tensor, Tensor> other = new FieldModel(nn.Linear(TestModels.In, TestModels.Middle), nn.Linear(TestModels.Middle, TestModels.Out + 1));
        var thrown = Assert.Throws<ArgumentException>(() => LoraExtraction.FromModels(TwoModels.Base(), other, _folder["adapter"], Options(rank: 2)));
        Assert.Equal("No adapter can be extracted:\n  - '_second.weight' is a target, but has the shape [3, 5] in the base and [4, 5] in the tuned model", thrown.Message);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(other);
        Assert.Throws<InvalidOperationException>(() => LoraExtraction.FromModels(TwoModels.Base(), other, _folder["adapter"], Options(rank: 2)));
        Assert.Throws<InvalidOperationException>(() => LoraExtraction.FromModels(other, TwoModels.Base(), _folder["adapter"], Options(rank: 2)));
    }

    [Fact]
    public void Numbers_that_are_none_are_refused()
    {
        nn.Module<Tensor, Tensor> after = TwoModels.Tuned();
        using (no_grad()) after.state_dict()["_first.bias"].fill_(double.NaN);
        var thrown = Assert.Throws<ArgumentException>(() => LoraExtraction.FromModels(TwoModels.Base(), after, _folder["adapter"], Options(rank: 2)));
        Assert.Equal("No adapter can be extracted:\n  - '_first.bias' holds a NaN or an infinity in one of the models, or numbers whose squares float64 cannot hold", thrown.Message);
    }

    private static ExtractionOptions Options(int? rank) => new() { Rank = rank, TargetModules = ModuleSelector.EndsWith(_layers) };
}
