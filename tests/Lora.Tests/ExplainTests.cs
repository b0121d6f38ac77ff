using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests;

public sealed class ExplainTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void It_lists_layers_and_parts_and_leaves_the_model_alone()
    {
        using var model = new TinyText(type: ScalarType.BFloat16);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        var config = new LoraConfig
        {
            Rank = 4,
            Alpha = 6,
            TargetModules = ModuleSelector.AllLinear,
            RankPattern = new Dictionary<string, int> { ["q_proj"] = 3 },
            ModulesToSave = ["norm"],
            TrainableTokens = TrainableTokens.Of(1, 2),
        };
        LoraExplanation explanation = LoraModel.Explain(model, config);
        Assert.True(explanation.IsPossible);
        Assert.Equal(
            """
            q_proj  Linear 5→5  r=3 α=6 s=2  30 parameters, 120 bytes (swapped)
            norm  by modules_to_save  10 parameters, 20 bytes
            tokens  by trainable_token_indices  10 parameters, 40 bytes
            1 adapted layers, 50 parameters, 180 bytes
            """,
            explanation.ToString());
        Assert.Equal([new ExplainedLayer("q_proj", "Linear", "5→5", AttachmentKind.Swapped, 3, 6, 2, 30, 120)], explanation.Layers);
        Assert.Equal(60, Assert.Single(LoraModel.Explain(model, config, new WrapOptions { UpcastAdapters = false }).Layers).Bytes);
        Assert.Equal(weights, Adapted.Weights(model));
        Assert.Equal(flags, Adapted.Flags(model));
    }

    [Theory]
    [InlineData(Holder.Field, AttachmentKind.Swapped)]
    [InlineData(Holder.TypedField, AttachmentKind.Hooked)]
    public void It_says_what_wrapping_then_does(Holder holder, AttachmentKind attachment)
    {
        using nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        LoraExplanation explanation = LoraModel.Explain(model, Adapted.Config);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Adapted.Config);
        Assert.Equal(lora.Layers.Select(layer => (layer.Path, layer.Kind, layer.Rank, layer.Alpha, layer.Scale, layer.Attachment)), explanation.Layers.Select(layer => (layer.Path, layer.Kind, layer.Rank, layer.Alpha, layer.Scale, layer.Attachment)));
        Assert.All(explanation.Layers, layer => Assert.Equal(attachment, layer.Attachment));
        Assert.Equal(lora.TrainableParameters().Sum(parameter => parameter.numel()), explanation.Parameters);
        // A second adapter goes where the first one is.
        Assert.Equal(explanation.Layers, LoraModel.Explain(model, Adapted.Config).Layers);
    }

    [Fact]
    public void It_gives_every_problem_with_near_names()
    {
        using var model = new TinyText();
        var config = new LoraConfig
        {
            TargetModules = ModuleSelector.EndsWith("q_proj", "v_porj"),
            AlphaPattern = new Dictionary<string, double> { ["k_proj"] = 1 },
            ModulesToSave = ["nrom"],
        };
        Assert.Equal(
            """
            q_proj  Linear 5→5  r=8 α=8 s=1  80 parameters, 320 bytes (swapped)
            1 adapted layers, 80 parameters, 320 bytes
            This cannot be done:
              - modules_to_save names 'nrom', which the model does not have; did you mean norm?
              - target_modules names 'v_porj', which the model does not have; did you mean q_proj?
              - alpha_pattern has the key 'k_proj', from which no adapted layer takes its alpha
            """,
            LoraModel.Explain(model, config).ToString());
        Assert.Equal(["Rank must be at least 1, but is 0."], LoraModel.Explain(model, config with { Rank = 0 }).Problems);
    }

    [Theory]
    [InlineData("llama", true)]
    [InlineData("gpt2", false)]
    [InlineData("unheard_of", false)]
    [InlineData(null, false)]
    public void Targets_that_are_not_given_are_those_of_the_family(string? family, bool known)
    {
        using var model = new TinyText { ModelFamily = family };
        var config = new LoraConfig { Rank = 2 };
        Assert.Equal(known ? ["q_proj"] : [], LoraModel.Explain(model, config).Layers.Select(layer => layer.Path));
    }
}
