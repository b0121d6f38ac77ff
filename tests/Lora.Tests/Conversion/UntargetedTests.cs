using Lora.Conversion;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Conversion;

/// <summary>What differs and is no target's weight: listed, refused, or saved where the form of an adapter allows it.</summary>
public sealed class UntargetedTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();
    private int _seed = 900;

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void It_is_listed_with_its_size()
    {
        nn.Module<Tensor, Tensor> before = TwoModels.Base(), after = TwoModels.Tuned(withBiases: true);
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], Options("_first"));
        Assert.Equal(["_first.bias", "_second.weight", "_second.bias"], result.Untargeted.Select(difference => difference.Name));
        foreach (TensorDifference difference in result.Untargeted)
        {
            Tensor old = before.state_dict()[difference.Name].to(ScalarType.Float64);
            double norm = TwoModels.Norm(after.state_dict()[difference.Name].to(ScalarType.Float64).sub(old));
            Assert.Equal(DifferenceKind.Values, difference.Kind);
            Assert.Null(difference.SavedBy);
            Assert.Equal(norm, difference.Norm, 1e-9);
            Assert.Equal(norm / TwoModels.Norm(old), difference.RelativeNorm, 1e-9);
        }
    }

    [Fact]
    public void It_is_refused_where_that_is_asked_for()
    {
        var thrown = Assert.Throws<ArgumentException>(() =>
            LoraExtraction.FromModels(TwoModels.Base(), TwoModels.Tuned(withBiases: true), _folder["adapter"], Options("_first", "_second") with { Untargeted = UntargetedDifferences.Refuse }));
        Assert.Equal("No adapter can be extracted:\n  - '_first.bias' differs and is no target's weight\n  - '_second.bias' differs and is no target's weight", thrown.Message);
        Assert.False(Directory.Exists(_folder["adapter"]));
    }

    [Theory]
    [InlineData(BiasKind.LoraOnly, "_first", "_second")]
    [InlineData(BiasKind.LoraOnly, "_first")]
    [InlineData(BiasKind.None, "_second")]
    public void It_is_saved_so_that_the_model_is_the_tuned_one(BiasKind bias, params string[] targets)
    {
        nn.Module<Tensor, Tensor> before = TwoModels.Base(), after = TwoModels.Tuned(withBiases: true);
        if (bias == BiasKind.None) Copy(before, after, "_second.bias");
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], Options(targets) with { Rank = 9, Untargeted = UntargetedDifferences.Save });
        string[] whole = [.. new[] { "_first", "_second" }.Except(targets)];
        Assert.Equal(bias, result.Config.Bias);
        Assert.Equal(whole, result.Config.ModulesToSave);
        Assert.All(result.Untargeted, difference => Assert.Equal(whole.Any(path => difference.Name.StartsWith(path, StringComparison.Ordinal)) ? "modules_to_save" : "bias", difference.SavedBy));
        AssertLoads(before, after);
    }

    [Fact]
    public void Where_biases_alone_differ_all_are_saved_as_biases()
    {
        nn.Module<Tensor, Tensor> before = TwoModels.Base(), after = TwoModels.Tuned(withBiases: true);
        Copy(before, after, "_second.weight");
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], Options("_first") with { Rank = 9, Untargeted = UntargetedDifferences.Save });
        Assert.Equal((BiasKind.All, 0), (result.Config.Bias, result.Config.ModulesToSave.Count));
        AssertLoads(before, after);
    }

    [Fact]
    public void A_norm_with_buffers_is_saved_whole()
    {
        nn.Module<Tensor, Tensor> before = WithNorm(seed: 7), after = WithNorm(seed: 8);
        using (no_grad())
        {
            after.state_dict()["1.running_mean"].add_(0.5);
            after.state_dict()["1.num_batches_tracked"].add_(3);
        }
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], Options("0") with { Rank = 9, Untargeted = UntargetedDifferences.Save });
        Assert.Equal(["1"], result.Config.ModulesToSave);
        foreach (nn.Module model in new[] { before, after }) model.eval();
        AssertLoads(before, after);
    }

    [Fact]
    public void All_linear_leaves_the_head_to_the_modules_that_are_saved()
    {
        TinyText before = new(), after = new();
        using (no_grad())
        {
            foreach (Parameter parameter in after.parameters()) parameter.mul_(1.5);
        }
        ExtractionResult result = LoraExtraction.FromModels(before, after, _folder["adapter"], new ExtractionOptions { Rank = 9, Untargeted = UntargetedDifferences.Save });
        Assert.Equal(["q_proj"], result.Layers.Select(layer => layer.Path));
        Assert.Equal((BiasKind.LoraOnly, "lm_head norm tokens"), (result.Config.Bias, string.Join(' ', result.Config.ModulesToSave.Order())));
        using LoraModel<TinyText> lora = LoraModel.Load(before, _folder["adapter"]);
        Adapted.AssertRelativelyClose(after.call(TinyText.Tokens()), before.call(TinyText.Tokens()));
    }

    [Fact]
    public void What_would_not_fit_the_model_again_is_refused()
    {
        TinyText before = new(tie: true), after = new(tie: true);
        using (no_grad())
        {
            foreach (Parameter parameter in after.parameters()) parameter.mul_(1.5);
        }
        var thrown = Assert.Throws<ArgumentException>(() => LoraExtraction.FromModels(before, after, _folder["adapter"], new ExtractionOptions { Rank = 9, Untargeted = UntargetedDifferences.Save }));
        Assert.Equal(
            "No adapter can be extracted:\n  - modules_to_save names 'tokens', whose weight the output head shares: set EnsureWeightTying (ensure_weight_tying) so that the head follows the trained copy",
            thrown.Message);
        Assert.False(Directory.Exists(_folder["adapter"]));
    }

    [Fact]
    public void What_no_setting_can_hold_is_listed()
    {
        Dictionary<string, Tensor> before = new() { ["a.x.weight"] = Some(3, 4), ["a.scale"] = Some(3), ["b.weight"] = Some(5), ["bb.weight"] = Some(5), ["gone.weight"] = Some(2), ["wide.weight"] = Some(2), ["a.x.extra"] = Some(2) };
        Dictionary<string, Tensor> after = before.ToDictionary(pair => pair.Key, pair => pair.Value.add(1));
        after.Remove("gone.weight");
        after["wide.weight"] = Some(3);
        after["new.weight"] = Some(2);
        Lora.Serialization.SafetensorsWriter.Save(_folder["base.safetensors"], before);
        Lora.Serialization.SafetensorsWriter.Save(_folder["tuned.safetensors"], after);
        var thrown = Assert.Throws<ArgumentException>(() =>
            LoraExtraction.FromCheckpoints(_folder["base.safetensors"], _folder["tuned.safetensors"], _folder["adapter"], Options("x") with { Untargeted = UntargetedDifferences.Save }));
        Assert.Equal(
            "No adapter can be extracted:\n  - 'a.scale' differs, and modules_to_save would save all of 'a', 'a.x' among it\n  - 'a.x.extra' differs and belongs to a target, of which only the weight and the bias can be saved\n"
            + "  - 'b.weight' differs, and modules_to_save cannot name 'b' alone: PEFT takes the name for the end of 'bb' too\n"
            + "  - 'gone.weight' is in the base alone, which no setting of an adapter can hold\n  - 'wide.weight' has two shapes, which no setting of an adapter can hold\n"
            + "  - 'new.weight' is in the tuned model alone, which no setting of an adapter can hold",
            thrown.Message);
    }

    private Tensor Some(params long[] shape) => Noise.Fill(empty(shape), _seed++, 1);

    private void AssertLoads(nn.Module<Tensor, Tensor> before, nn.Module<Tensor, Tensor> after)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(before, _folder["adapter"]);
        Tensor input = TestModels.Input(2);
        Adapted.AssertRelativelyClose(after.call(input), before.call(input));
    }

    private static void Copy(nn.Module from, nn.Module to, string name)
    {
        using var noGrad = no_grad();
        to.state_dict()[name].copy_(from.state_dict()[name]);
    }

    private static Sequential WithNorm(int seed)
    {
        Sequential model = nn.Sequential(nn.Linear(TestModels.In, 5, device: TestDevice.Current), nn.BatchNorm1d(5, device: TestDevice.Current));
        foreach (Parameter parameter in model.parameters()) Noise.Fill(parameter, seed++, 0.5);
        return model;
    }

    private static ExtractionOptions Options(params string[] targets) => new() { Rank = 2, TargetModules = ModuleSelector.EndsWith(targets) };
}
