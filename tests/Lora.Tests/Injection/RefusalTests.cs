using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Injection;

/// <summary>What cannot be wrapped is refused, with everything that is wrong, and left as it was.</summary>
public sealed class RefusalTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Fields_that_cannot_be_swapped_without_hooks() => AssertRefused(
        Holder.TypedField,
        Adapted.Config,
        """
        The model cannot be wrapped:
          - '_first' cannot be replaced, since field '_first' of TypedFieldModel<Linear> has the type Linear, and AllowHooks is false: give the field the type Module<Tensor, Tensor>, or allow hooks
          - '_second' cannot be replaced, since field '_second' of TypedFieldModel<Linear> has the type Linear, and AllowHooks is false: give the field the type Module<Tensor, Tensor>, or allow hooks
        """,
        new WrapOptions { AllowHooks = false });

    [Theory]
    [InlineData(Holder.TypedList, "_layers.0", "the elements of the ModuleList<Linear> have the type Linear")]
    [InlineData(Holder.TypedDict, "_layers.first", "the elements of the ModuleDict<Linear> have the type Linear")]
    [InlineData(Holder.NoField, "first", "no field of NoFieldModel holds it")]
    public void Containers_that_cannot_be_swapped_without_hooks(Holder holder, string path, string obstacle) => AssertRefused(
        holder,
        Adapted.Config with { TargetModules = ModuleSelector.EndsWith(path) },
        $"""
        The model cannot be wrapped:
          - '{path}' cannot be replaced, since {obstacle}, and AllowHooks is false: give the field the type Module<Tensor, Tensor>, or allow hooks
        """,
        new WrapOptions { AllowHooks = false });

    [Fact]
    public void Defect05_Names_that_the_model_does_not_have_beside_one_that_it_has() => AssertRefused(
        Holder.Nested,
        Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_frist", "_first", "attention", "_inner._secnd") },
        """
        The model cannot be wrapped:
          - target_modules names '_frist', which the model does not have; did you mean _first?
          - target_modules names 'attention', which the model does not have
          - target_modules names '_inner._secnd', which the model does not have; did you mean _inner._second?
        """);

    [Fact]
    public void A_further_name_of_a_shared_module() => AssertRefused(
        Holder.Shared,
        Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first", "_again") },
        """
        The model cannot be wrapped:
          - target_modules names '_again', but '_again' is the same module as '_middle', by which it counts: name that one
        """);

    [Fact]
    public void A_pattern_that_matches_nothing() => AssertRefused(
        Holder.Nested,
        Adapted.Config with { TargetModules = ModuleSelector.Regex(".*q_proj") },
        """
        The model cannot be wrapped:
          - target_modules (/.*q_proj/) matches no module. Layers that can be adapted: _inner._first, _inner._second.
        """);

    [Fact]
    public void A_container() => AssertRefused(
        Holder.Nested,
        Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_inner") },
        """
        The model cannot be wrapped:
          - target_modules matches '_inner', a FieldModel, which cannot be adapted: target a Linear, TransposedLinear, Embedding, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d or MultiheadAttention, such as _inner._first, _inner._second, or exclude it
        """);

    [Fact]
    public void A_layer_of_another_kind_beside_good_ones() => AssertRefused(
        Holder.Sequential,
        Adapted.Config with { TargetModules = ModuleSelector.Regex("_layers.*") },
        """
        The model cannot be wrapped:
          - target_modules matches '_layers', a Sequential, which cannot be adapted: target a Linear, TransposedLinear, Embedding, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d or MultiheadAttention, such as _layers.first, _layers.second, or exclude it
          - target_modules matches '_layers.tanh', a Tanh, which cannot be adapted: target a Linear, TransposedLinear, Embedding, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d or MultiheadAttention, or exclude it
        """);

    [Fact]
    public void Everything_excluded() => AssertRefused(
        Holder.Field,
        Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first"), ExcludedModules = ModuleSelector.Regex("_f.*") },
        """
        The model cannot be wrapped:
          - exclude_modules leaves nothing of what target_modules ([_first]) matches. Layers that can be adapted: _first, _second.
        """);

    [Fact]
    public void An_exclusion_that_excludes_nothing() => AssertRefused(
        Holder.Field,
        Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first"), ExcludedModules = ModuleSelector.EndsWith("_secnd") },
        """
        The model cannot be wrapped:
          - exclude_modules names '_secnd', which the model does not have; did you mean _second?
        """);

    [Fact]
    public void An_exclusion_of_what_is_no_target() => AssertRefused(
        Holder.Field,
        Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first"), ExcludedModules = ModuleSelector.EndsWith("_second") },
        """
        The model cannot be wrapped:
          - exclude_modules ([_second]) excludes nothing that target_modules matches
        """);

    [Fact]
    public void A_layer_that_is_adapted_by_hand()
    {
        using var layer = new Lora.Layers.LoraLinear(LayerKind.Linear.Make(7, 5));
        Assert.Equal(
            "The model is an adapted layer itself: wrap the module that holds it, or train the layer as it is.",
            Assert.Throws<InvalidOperationException>(() => LoraModel.Wrap(layer, Adapted.Config)).Message);
    }

    [Fact]
    public void Defect06_Patterns_that_decide_nothing() => AssertRefused(
        Holder.Field,
        Adapted.Config with
        {
            RankPattern = new Dictionary<string, int> { ["_first"] = 3, ["q_proj"] = 4 },
            AlphaPattern = new Dictionary<string, double> { [".*"] = 3, ["_second"] = 4 },
        },
        """
        The model cannot be wrapped:
          - rank_pattern has the key 'q_proj', from which no adapted layer takes its rank
          - alpha_pattern has the key '_second', from which no adapted layer takes its alpha
        """);

    [Fact]
    public void A_model_without_linear_layers()
    {
        using var model = nn.Sequential(nn.ReLU(), nn.Tanh());
        Assert.Equal(
            """
            The model cannot be wrapped:
              - target_modules (all-linear) matches no module. The model has no layer that can be adapted.
            """,
            Message(Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, Adapted.Config))));
    }

    [Fact]
    public void A_model_that_carries_adapters()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Nested);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        using var folder = new TemporaryFolder();
        lora.Save(folder.Path);
        string[] before = [.. model.state_dict().Keys];
        const string message = "The model carries adapters already, the first at '_inner._first': unload them before wrapping or loading again.";
        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => LoraModel.Wrap(model, Adapted.Config)).Message);
        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => LoraModel.Load(model, folder.Path)).Message);
        Assert.Equal(before, model.state_dict().Keys);
        lora.Unload();
        LoraModel.Wrap(model, Adapted.Config).Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("a.b")]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData("base_layer")]
    public void Names_that_no_adapter_can_have(string name)
    {
        var exception = Assert.Throws<ArgumentException>(() => LoraModel.Wrap(TestModels.Make(Holder.Field), Adapted.Config, new WrapOptions { AdapterName = name }));
        Assert.Equal($"'{name}' cannot name an adapter: give a name without dots and slashes other than 'base_layer' and '__base__'.", Message(exception));
    }

    [Fact]
    public void Settings_out_of_range_are_told_before_the_model_is_looked_at() => Assert.Equal(
        """
        The adapter's configuration cannot be used:
          - Rank must be at least 1, but is 0.
        """,
        Assert.Throws<ArgumentException>(() => LoraModel.Wrap(TestModels.Make(Holder.Field), LoraConfig.AllLinear(rank: 0))).Message);

    private static void AssertRefused(Holder holder, LoraConfig config, string message, WrapOptions? options = null)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        string[] names = [.. model.state_dict().Keys];
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        long alive = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Equal(message, Message(Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, config, options))));
        Assert.Equal(names, model.state_dict().Keys);
        Assert.Equal(flags, Adapted.Flags(model));
        Assert.Equal(alive, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        model.Dispose();
    }

    // Without the name of the parameter, which the framework appends.
    private static string Message(ArgumentException exception) => exception.Message.Replace($" (Parameter '{exception.ParamName}')", "", StringComparison.Ordinal);
}
