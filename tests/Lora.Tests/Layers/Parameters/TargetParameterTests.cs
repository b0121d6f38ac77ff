using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers.Parameters;

/// <summary>Adapters on raw parameters, in a module with two inputs.</summary>
public sealed class TargetParameterTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static MatrixTheoryData<ScalarType, bool, int, Variant> Cases =>
        new([ScalarType.Float64, ScalarType.Float32, ScalarType.BFloat16], [true, false], [1, 3], [Variant.Plain, Variant.RankStabilized, Variant.Patterns]);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_identities_hold(ScalarType type, bool transposed, int experts, Variant variant)
    {
        using var folder = new TemporaryFolder();
        LoraConfig config = variant switch
        {
            Variant.RankStabilized => MixtureModel.Config with { UseRankStabilizedScaling = true },
            Variant.Patterns => MixtureModel.Config with { RankPattern = new Dictionary<string, int> { ["up"] = 1, ["gate"] = 4 }, AlphaPattern = new Dictionary<string, double> { [@"_mix\.down"] = 3 } },
            _ => MixtureModel.Config with { RankPattern = new Dictionary<string, int>() },
        };
        using var noGrad = no_grad();
        using var model = new MixtureModel(type, experts, transposed);
        Tensor input = MixtureModel.Input(type), plain = model.call(input);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        using LoraModel<MixtureModel> lora = LoraModel.Wrap(model, config);
        Adapted.AssertSame(plain, model.call(input));
        AttentionModel.Filled(lora);
        Tensor adapted = model.call(input);
        Assert.True(Adapted.Difference(plain, adapted) > 0.1);
        using (lora.Disable()) Adapted.AssertSame(plain, model.call(input));
        Adapted.AssertSame(adapted, model.call(input));
        double rounding = type switch { ScalarType.Float64 => 1e-13, ScalarType.Float32 => 2e-5, _ => 1 };
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Assert.True(Adapted.Difference(adapted, model.call(input)) <= rounding);
        lora.Unmerge();
        Adapted.AssertSame(adapted, model.call(input));
        using var exact = new MixtureModel(ScalarType.Float64, experts, transposed);
        using LoraModel<MixtureModel> wide = AttentionModel.Filled(LoraModel.Wrap(exact, config));
        using var again = new MixtureModel(type, experts, transposed);
        lora.Save(folder.Path);
        using LoraModel<MixtureModel> loaded = LoraModel.Load(again, folder.Path);
        Adapted.AssertSame(adapted, again.call(input));
        Assert.True(Adapted.Difference(exact.call(MixtureModel.Input()), adapted) <= rounding);
        lora.Unload();
        Assert.Equal(weights, Adapted.Weights(model));
        Adapted.AssertSame(plain, model.call(input));
    }

    [Theory]
    [InlineData(true, 3)]
    [InlineData(false, 3)]
    [InlineData(true, 1)]
    [InlineData(false, 1)]
    public void The_update_of_an_expert_is_what_PEFTs_order_says(bool transposed, int experts)
    {
        using var model = new MixtureModel(experts: experts, transposed: transposed);
        using LoraModel<MixtureModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, MixtureModel.Config));
        LoraAdapter pair = ((CompositeAdapter)lora.Layers[1].Layer.Adapter).Part("up")!;
        Assert.Equal([experts * 2, transposed ? 4 : 7], pair.A.shape);
        Assert.Equal([transposed ? 7 : 4, experts * 2], pair.B.shape);
        Tensor delta = pair.ComputeDelta();
        Assert.Equal([experts, 4, 7], delta.shape);
        for (int e = 0; e < experts; e++)
        {
            for (int o = 0; o < pair.B.shape[0]; o++)
            {
                for (int i = 0; i < pair.A.shape[1]; i++)
                {
                    double sum = 0;
                    for (int k = 0; k < 2; k++) sum += pair.B[o, (k * experts) + e].item<double>() * pair.A[(e * 2) + k, i].item<double>();
                    Assert.Equal(2.5 * sum, (transposed ? delta[e, i, o] : delta[e, o, i]).item<double>(), 1e-14);
                }
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Gradients_are_those_of_finite_differences(bool transposed)
    {
        using var model = new MixtureModel(transposed: transposed);
        using LoraModel<MixtureModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, MixtureModel.Config));
        lora.AddAdapter("other", MixtureModel.Config with { Rank = 1, TargetParameters = ModuleSelector.EndsWith("up"), RankPattern = new Dictionary<string, int>() });
        AttentionModel.Filled(lora);
        lora.SetActive("other", "default");
        Tensor input = MixtureModel.Input();
        model.call(input).square().sum().backward();
        const double step = 1e-5;
        foreach (Parameter parameter in lora.TrainableParameters())
        {
            using var noGrad = no_grad();
            Tensor flat = parameter.view(-1), gradient = parameter.grad!.view(-1);
            for (long i = 0; i < flat.numel(); i++)
            {
                double value = flat[i].item<double>();
                double At(double x)
                {
                    flat[i] = x;
                    return model.call(input).square().sum().item<double>();
                }
                double difference = (At(value + step) - At(value - step)) / (2 * step);
                flat[i] = value;
                Assert.Equal(difference, gradient[i].item<double>(), 1e-6 * (1 + Math.Abs(difference)));
            }
        }
        Assert.All(model.named_parameters().Where(p => !p.name.Contains("_lora", StringComparison.Ordinal)), p => Assert.Null(p.parameter.grad));
    }

    [Fact]
    public void Several_parameters_of_a_module_are_nested_in_the_order_of_registration()
    {
        using var folder = new TemporaryFolder();
        using MixtureModel model = new(), other = new();
        using LoraModel<MixtureModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, MixtureModel.Config));
        lora.Save(folder.Path);
        using (SafetensorsFile file = SafetensorsFile.Open(folder["adapter_model.safetensors"]))
        {
            Assert.Equal(
                [
                    "base_model.model._mix.base_layer.base_layer.lora_A.weight [3, 4]", "base_model.model._mix.base_layer.base_layer.lora_B.weight [4, 3]",
                    "base_model.model._mix.base_layer.lora_A.weight [6, 4]", "base_model.model._mix.base_layer.lora_B.weight [7, 6]",
                    "base_model.model._mix.lora_A.weight [6, 7]", "base_model.model._mix.lora_B.weight [4, 6]",
                    "base_model.model._pre.lora_A.weight [2, 4]", "base_model.model._pre.lora_B.weight [4, 2]",
                ],
                file.Entries.Select(entry => $"{entry.Name} [{string.Join(", ", entry.Shape)}]").Order(StringComparer.Ordinal));
        }
        using LoraModel<MixtureModel> loaded = LoraModel.Load(other, folder.Path);
        Assert.Empty(loaded.LoadReport);
        Assert.Equal(lora.Config, loaded.Config);
        Adapted.AssertSame(model.call(MixtureModel.Input()), other.call(MixtureModel.Input()));
    }

    [Fact]
    public void A_pass_that_fails_leaves_nothing_behind_for_the_next_one()
    {
        using var model = new MixtureModel();
        using LoraModel<MixtureModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, MixtureModel.Config));
        Tensor adapted = model.call(MixtureModel.Input());
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        model.Mix.Fails = true;
        Assert.Equal("It fails.", Assert.Throws<InvalidOperationException>(() => model.call(MixtureModel.Input())).Message);
        Assert.Equal(weights, Adapted.Weights(model));
        model.Mix.Fails = false;
        Adapted.AssertSame(adapted, model.call(MixtureModel.Input()));
        model.Mix.Fails = true;
        Assert.Throws<InvalidOperationException>(() => model.call(MixtureModel.Input()));
        model.Mix.Fails = false;
        Parameter up = model.named_parameters().First(p => p.name == "_mix.up").parameter;
        // Past the hooks too the base is found as soon as the adapters are told anything.
        using (lora.Disable())
        {
            model.Mix.forward(MixtureModel.Input(), MixtureModel.Input());
            Assert.Same(up, model.Mix.SeenUp);
        }
        model.Mix.Fails = true;
        Assert.Throws<InvalidOperationException>(() => model.call(MixtureModel.Input()));
        model.Mix.Fails = false;
        lora.Unload();
        model.Mix.forward(MixtureModel.Input(), MixtureModel.Input());
        Assert.Same(up, model.Mix.SeenUp);
    }

    [Fact]
    public void A_module_run_by_forward_is_found_after_the_first_training_pass()
    {
        using var model = new MixtureModel { SkipsCall = true };
        using LoraModel<MixtureModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, MixtureModel.Config));
        Assert.StartsWith(
            "1 of 2 adapted layers were not reached by the forward pass, so their adapters would never train:\n  - _mix  Mixture gate 4×4, up 3×4×7, down 3×7×4  r=3 α=5 (hooked)\n",
            Assert.Throws<InvalidOperationException>(() => model.call(MixtureModel.Input())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_cannot_be_adapted_is_refused_with_every_reason()
    {
        using var model = new MixtureModel();
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        var exception = Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, new LoraConfig
        {
            Rank = 2,
            TargetModules = ModuleSelector.EndsWith("_pre"),
            TargetParameters = ModuleSelector.EndsWith("_pre.weight", "shift", "top", "_table.weight", "_mix.dwon"),
        }));
        Assert.Equal(
            """
            The model cannot be wrapped:
              - target_parameters matches 'top', a parameter of the model itself: only parameters of modules inside the model can be adapted
              - target_parameters matches '_pre.weight', but '_pre' is adapted as a module: leave one of the two out
              - target_parameters matches '_mix.shift', which has 1 dimension: a parameter needs 2 (out, in) or 3 (experts and a matrix each)
              - target_parameters matches '_table.weight', which a Embedding keeps where it cannot be replaced: target the module instead, if it can be adapted
              - target_parameters names '_mix.dwon', which the model does not have; did you mean _mix.down? (Parameter 'config')
            """,
            exception.Message);
        Assert.Equal(flags, Adapted.Flags(model));
        Assert.Equal(
            """
            The adapter's configuration cannot be used:
              - TargetParameters is /up/, but only names can pick parameters: use ModuleSelector.EndsWith.
              - Dropout is 0.5, but a parameter has no input that could be dropped: it must be 0 with TargetParameters.
            """,
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, new LoraConfig { Dropout = 0.5, TargetParameters = ModuleSelector.Regex("up") })).Message);
    }

    [Fact]
    public void A_further_adapter_may_take_other_parameters_but_not_the_module()
    {
        using var model = new MixtureModel();
        using LoraModel<MixtureModel> lora = LoraModel.Wrap(model, MixtureModel.Config);
        var exception = Assert.Throws<ArgumentException>(() => lora.AddAdapter("other", new LoraConfig { TargetModules = ModuleSelector.EndsWith("_pre") }));
        Assert.Contains("target_modules matches '_pre', of which another adapter adapts parameters: leave one of the two out", exception.Message, StringComparison.Ordinal);
        lora.AddAdapter("other", new LoraConfig { Rank = 2, TargetParameters = ModuleSelector.EndsWith("down") });
        AttentionModel.Filled(lora);
        Tensor first = model.call(MixtureModel.Input());
        lora.SetActive("default", "other");
        Tensor both = model.call(MixtureModel.Input());
        Assert.True(Adapted.Difference(first, both) > 0.1);
        lora.Merge();
        Assert.True(Adapted.Difference(both, model.call(MixtureModel.Input())) < 1e-12);
    }
}
