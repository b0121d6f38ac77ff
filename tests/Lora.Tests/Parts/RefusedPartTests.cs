using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>What cannot be trained beside layers is refused, with everything that is wrong, and the model is as it was.</summary>
public sealed class RefusedPartTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void Names_that_the_model_does_not_have() => AssertRefused(
        PartAdapters.Config with { ModulesToSave = ["lm_haed", "zzz"], TrainableTokens = TrainableTokens.In("emb", 1) },
        """
        The model cannot be wrapped:
          - modules_to_save names 'lm_haed', which the model does not have; did you mean lm_head?
          - modules_to_save names 'zzz', which the model does not have
          - trainable_token_indices names 'emb', which the model does not have
        """);

    [Fact]
    public void Rows_that_the_embedding_does_not_have_and_layers_that_are_none() => AssertRefused(
        PartAdapters.Config with { TrainableTokens = TrainableTokens.In(new Dictionary<string, IReadOnlyList<int>> { ["tokens"] = [1, 11], ["norm"] = [0] }) },
        """
        The model cannot be wrapped:
          - trainable_token_indices: 'tokens' has 11 rows, but row 11 is asked for
          - trainable_token_indices: 'norm' is a LayerNorm, not an Embedding
        """);

    [Fact]
    public void Rows_of_an_embedding_that_is_trained_in_full() => AssertRefused(
        PartAdapters.Config with { ModulesToSave = ["tokens"], TrainableTokens = TrainableTokens.Of(1) },
        """
        The model cannot be wrapped:
          - trainable_token_indices: 'tokens' is named in modules_to_save too, which trains all of its rows
        """);

    [Fact]
    public void What_is_trained_in_full_is_no_target() => AssertRefused(
        PartAdapters.Config with { ModulesToSave = ["q_proj"] },
        """
        The model cannot be wrapped:
          - modules_to_save leaves nothing of what target_modules ([q_proj]) matches. Layers that can be adapted: tokens, q_proj, lm_head.
        """,
        exact: false);

    [Fact]
    public void A_tied_weight_without_its_other_side() => AssertRefused(
        PartAdapters.Config with { ModulesToSave = ["tokens", "lm_head"] },
        """
        The model cannot be wrapped:
          - modules_to_save names 'tokens', whose weight the output head shares: set EnsureWeightTying (ensure_weight_tying) so that the head follows the trained copy
          - modules_to_save names 'lm_head', which has no weight of its own but shares that of the token embedding: name the embedding, with EnsureWeightTying (ensure_weight_tying)
        """,
        tie: true);

    [Fact]
    public void Containers()
    {
        var list = new ListModel<nn.Module<Tensor, Tensor>>(nn.Linear(7, 5), nn.Linear(5, 3));
        Assert.Equal(
            """
            The model cannot be wrapped:
              - modules_to_save names '_layers', a ModuleList<Module<Tensor, Tensor>>, which is never called itself: name the modules in it
              - modules_to_save leaves nothing of what target_modules ([_layers.0]) matches. Layers that can be adapted: _layers.0, _layers.1.
            """.Split('\n').Order(),
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(list, new LoraConfig { TargetModules = ModuleSelector.EndsWith("_layers.0"), ModulesToSave = ["_layers"] })).Message.Replace(" (Parameter 'config')", "", StringComparison.Ordinal).Split('\n').Order());
    }

    [Fact]
    public void Two_adapters_that_take_the_same_place_at_once()
    {
        using var model = new TinyText();
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config with { ModulesToSave = ["lm_head"], TrainableTokens = TrainableTokens.Of(3, 7) });
        lora.AddAdapter("other", PartAdapters.Config with { ModulesToSave = ["lm_head", "norm"], TrainableTokens = TrainableTokens.Of(1, 7) });
        lora.AddAdapter("full", PartAdapters.Config with { ModulesToSave = ["tokens"] });
        PartAdapters.Fill(lora, "other", 500);
        Tensor before = PartAdapters.Output(model);
        Assert.Equal(
            """
            Adapters that take the place of the same weight cannot be active together:
              - 'default' by modules_to_save and 'other' by modules_to_save: lm_head.weight
              - 'default' by trainable_token_indices and 'other' by trainable_token_indices: tokens.weight[7]
            Make one of them active at a time.
            """,
            Assert.Throws<InvalidOperationException>(() => lora.SetActive("default", "other")).Message);
        Assert.Contains("'full' by modules_to_save: tokens.weight", Assert.Throws<InvalidOperationException>(() => lora.SetActive("default", "full")).Message, StringComparison.Ordinal);
        Assert.Equal(["default"], lora.ActiveAdapters);
        Adapted.AssertSame(before, PartAdapters.Output(model));
        lora.SetActive("other");
        Assert.True(Adapted.Difference(before, PartAdapters.Output(model)) > 0.01);
        lora.SetActive("default");
        Adapted.AssertSame(before, PartAdapters.Output(model));
    }

    [Fact]
    public void Two_adapters_with_ten_thousands_of_rows()
    {
        const int rows = 60_000;
        using var model = new ListModel<nn.Module<Tensor, Tensor>>(nn.Embedding(2 * rows, 2), nn.Linear(2, 3));
        var config = new LoraConfig { Rank = 2, Alpha = 5, TargetModules = ModuleSelector.EndsWith("_layers.1") };
        using LoraModel<ListModel<nn.Module<Tensor, Tensor>>> lora = LoraModel.Wrap(model, config with { TrainableTokens = TrainableTokens.In("_layers.0", Enumerable.Range(0, rows)) });
        lora.AddAdapter("others", config with { TrainableTokens = TrainableTokens.In("_layers.0", Enumerable.Range(rows, rows)) });
        lora.AddAdapter("last", config with { TrainableTokens = TrainableTokens.In("_layers.0", 2 * rows - 1) });
        lora.SetActive("default", "others");
        Assert.Equal(
            """
            Adapters that take the place of the same weight cannot be active together:
              - 'others' by trainable_token_indices and 'last' by trainable_token_indices: _layers.0.weight[119999]
            Make one of them active at a time.
            """,
            Assert.Throws<InvalidOperationException>(() => lora.SetActive("default", "others", "last")).Message);
        Assert.Equal(["default", "others"], lora.ActiveAdapters);

        lora.AddAdapter("whole", config with { ModulesToSave = ["_layers.0"] });
        lora.AddAdapter("row", config with { TrainableTokens = TrainableTokens.In("_layers.0", 4) });
        Assert.Contains(
            "\n  - 'whole' by modules_to_save and 'row' by trainable_token_indices: _layers.0.weight[4]\n",
            Assert.Throws<InvalidOperationException>(() => lora.SetActive("whole", "row")).Message, StringComparison.Ordinal);
        Assert.Contains(
            "\n  - 'last' by trainable_token_indices and 'whole' by modules_to_save: _layers.0.weight\n",
            Assert.Throws<InvalidOperationException>(() => lora.SetActive("last", "whole")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_second_adapter_with_biases()
    {
        using var model = new TinyText();
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config with { Bias = BiasKind.LoraOnly });
        const string Problem = "bias is All, but adapter 'default' trains biases already: one adapter of a model can";
        Assert.Equal(
            "The adapter 'second' cannot be added:\n  - " + Problem + " (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => lora.AddAdapter("second", PartAdapters.Config with { Bias = BiasKind.All })).Message);
        using (var other = new TinyText())
        using (LoraModel<TinyText> all = PartAdapters.Wrap(other, PartAdapters.Config with { Bias = BiasKind.All })) all.Save(_folder.Path);
        Assert.Equal([Problem], Assert.Throws<AdapterFormatException>(() => lora.LoadAdapter("second", _folder.Path)).Problems);
        Assert.Equal(["default"], lora.AdapterNames);
    }

    [Fact]
    public void A_module_that_is_adapted_and_trained_in_full()
    {
        using var model = new TinyText();
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config with { ModulesToSave = ["lm_head"] });
        Assert.Equal(
            "The adapter 'b' cannot be added:\n  - target_modules matches 'lm_head', which adapter 'default' trains in full (modules_to_save): a module can be adapted or trained in full, not both (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => lora.AddAdapter("b", PartAdapters.Config with { TargetModules = ModuleSelector.EndsWith("lm_head") })).Message);
        Assert.Contains(
            "modules_to_save names 'q_proj', which another adapter adapts: a module can be adapted or trained in full, not both",
            Assert.Throws<ArgumentException>(() => lora.AddAdapter("b", PartAdapters.Config with { TargetModules = ModuleSelector.EndsWith("lm_head"), ModulesToSave = ["q_proj"] })).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_without_a_weight_that_a_setting_asks_for()
    {
        using var model = new TinyText();
        using (LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config with { Bias = BiasKind.All, TrainableTokens = TrainableTokens.Of(3, 7) })) lora.Save(_folder.Path);
        PeftAdapterConfig file = PeftAdapterConfig.Load(_folder[PeftAdapterConfig.FileName]);
        file.With(file.ToLoraConfig() with { ModulesToSave = ["lm_head"], TrainableTokens = TrainableTokens.Of(3, 7, 9) }).Save(_folder[PeftAdapterConfig.FileName]);
        Assert.Equal(
            [
                "tensor base_model.model.tokens.token_adapter.trainable_tokens_delta has the shape [2, 5], but [3, 5] is needed",
                "missing tensor base_model.model.lm_head.weight, shape [11, 5], which modules_to_save asks for",
            ],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(model, _folder.Path)).Problems);
    }

    private static void AssertRefused(LoraConfig config, string message, bool tie = false, bool exact = true)
    {
        using var model = new TinyText(tie);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        string actual = Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, config)).Message;
        Assert.Equal(exact ? message + " (Parameter 'config')" : message, exact ? actual : actual[..Math.Min(actual.Length, message.Length)]);
        Assert.Equal(string.Join('\n', message.Split('\n').Skip(1).Select(line => line[4..])), string.Join('\n', LoraModel.Explain(model, config).Problems.Take(message.Split('\n').Length - 1)));
        Assert.Equal(weights, Adapted.Weights(model));
        Assert.Equal(flags, Adapted.Flags(model));
    }
}
