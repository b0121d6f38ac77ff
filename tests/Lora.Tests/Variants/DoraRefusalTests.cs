using Lora.Layers;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>Where DoRA is not defined it is refused by name, every case at once, with the way out; elsewhere it is told of.</summary>
public sealed class DoraRefusalTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Layers_without_a_weight_that_can_be_rescaled_are_all_named()
    {
        using var model = new Mixed();
        var config = new LoraConfig { Rank = 2, UseDora = true, TargetModules = ModuleSelector.EndsWith("linear", "fused", "attention", "up") };
        var options = new WrapOptions { LayerKinds = [new FusedLinearKind(ModuleSelector.EndsWith("fused"), [true, false, true])] };
        string Problem(string path, string layer) =>
            $"'{path}' is adapted by a {layer}, for which DoRA (use_dora) is not defined: leave it out of the targets, or adapt it under a configuration of its own";
        string[] problems = [Problem("fused", nameof(LoraFusedLinear)), Problem("attention", nameof(LoraMultiheadAttention)), Problem("up", nameof(LoraConvTranspose))];
        LoraExplanation explanation = LoraModel.Explain(model, config, options);
        Assert.Equal(problems, explanation.Problems);
        Assert.Equal(
            $"The model cannot be wrapped:\n  - {string.Join("\n  - ", problems)} (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, config, options)).Message);
    }

    [Fact]
    public void An_adapter_that_an_embedding_shares_with_its_head_cannot_have_it()
    {
        using var model = new TinyText(tie: true);
        var config = new LoraConfig { Rank = 2, UseDora = true, EnsureWeightTying = true, TargetModules = ModuleSelector.EndsWith("lm_head", "q_proj") };
        Assert.Equal(
            ["'tokens' shares its adapter with 'lm_head' by ensure_weight_tying, for which DoRA (use_dora) is not defined: do without one of the two"],
            LoraModel.Explain(model, config).Problems);
    }

    [Fact]
    public void Settings_that_contradict_it_are_all_named() => Assert.Equal(
        """
        The adapter's configuration cannot be used:
          - Rank must be at least 1, but is 0.
          - UseLoraBias is set, which does not go with UseDora: a magnitude cannot rescale a bias.
          - UseDora is set, but a parameter alone has no output that a magnitude could rescale: it must be false with TargetParameters.
        """,
        Assert.Throws<ArgumentException>((Adapted.Config with { Rank = 0, UseDora = true, UseLoraBias = true, TargetParameters = ModuleSelector.EndsWith("w") }).Validate).Message);

    [Fact]
    public void By_hand_too()
    {
        Assert.Equal(
            "An adapter with DoRA cannot have a bias: a magnitude cannot rescale it. (Parameter 'hasBias')",
            Assert.Throws<ArgumentException>(() => new LoraLinear(nn.Linear(3, 2), hasBias: true, useDora: true)).Message);
        using var embedding = new LoraEmbedding(nn.Embedding(5, 3), rank: 2, useDora: true);
        Assert.Equal([3], Assert.IsType<DoraVariant>(embedding.Adapter.Variant).Magnitude.shape);
        using var convolution = new LoraConv(nn.Conv2d(2, 4, 3), rank: 2, useDora: true);
        Assert.Equal([1, 4, 1, 1], Assert.IsType<DoraVariant>(convolution.Adapter.Variant).Magnitude.shape);
    }

    [Fact]
    public void Rows_of_a_batch_cannot_have_it_for_their_own()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.AddAdapter("dora", Adapted.Config with { UseDora = true });
        Assert.Equal(
            "The samples of a batch cannot use different adapters:\n  - adapter 'dora' is a DoRA adapter (use_dora), which rescales the whole batch's output\nRun them one adapter after the other, with Use.",
            Assert.Throws<InvalidOperationException>(() => lora.UsePerSample("default", "dora")).Message);
        lora.UsePerSample("default", LoraModel.BaseAdapter).Dispose();
    }

    [Fact]
    public void It_is_not_combined()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        lora.AddAdapter("dora", Adapted.Config with { UseDora = true });
        Assert.Equal(
            """
            The adapters cannot be combined into 'blend':
              - 'dora' has use_dora true, which cannot be combined
              - 'dora' has lora_magnitude_vector on '_first', which cannot be combined
              - 'dora' has lora_magnitude_vector on '_second', which cannot be combined (Parameter 'adapters')
            """,
            Assert.Throws<ArgumentException>(() => lora.Combine("blend", [("default", 1), ("dora", 1)])).Message);
    }

    [Fact]
    public void Its_numbers_are_counted_trained_and_told()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        LoraConfig config = Adapted.Config with { UseDora = true };
        // A and B of rank 2 on 7→5 and 5→3, and a magnitude each.
        const int numbers = (2 * (7 + 5)) + 5 + (2 * (5 + 3)) + 3;
        Assert.Equal(numbers, LoraModel.Explain(model, config).Parameters);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config);
        Assert.Equal(numbers, lora.ParameterCounts.Trainable);
        Assert.Equal("_first  Linear 7→5  r=2 α=5 DoRA (swapped)", lora.Layers[0].ToString());
        DoraVariant variant = Assert.IsType<DoraVariant>(lora.Layers[0].Layer.Adapter.Variant);
        Assert.Equal("DoRA", variant.Title);
        Assert.Contains(lora.TrainableParameters(), parameter => parameter.Handle == variant.Magnitude.Handle);
        lora.SetTrainable(false);
        Assert.False(variant.Magnitude.requires_grad);
        lora.SetTrainable(true);

        model.call(TestModels.Input(3)).square().sum().backward();
        Assert.All(lora.TrainableParameters().Where(parameter => parameter.dim() == 1), magnitude => Assert.True(magnitude.grad!.abs().sum().item<float>() > 0));
        model.to(ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, variant.Magnitude.dtype);
        Assert.Equal(ScalarType.Float64, model.call(TestModels.Input(3, ScalarType.Float64)).dtype);
    }

    private sealed class Mixed : nn.Module
    {
        internal Mixed()
            : base(nameof(Mixed))
        {
            register_module("linear", nn.Linear(4, 3));
            register_module("fused", nn.Linear(4, 6));
            register_module("attention", nn.MultiheadAttention(4, 2));
            register_module("up", nn.ConvTranspose1d(4, 3, 2));
        }
    }
}
