using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>An adapter with invocation tokens acts from the beginning of their last occurrence on, and nowhere else.</summary>
public sealed class InvocationTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    private static LoraConfig Config => new() { Rank = 2, Alpha = 5, InvocationTokens = [7, 3], TargetModules = ModuleSelector.EndsWith("q_proj", "lm_head"), TaskType = "CAUSAL_LM" };

    // Twice, once at the end, once at the beginning, never, and half of it at the end.
    private static readonly long[,] _ids = { { 7, 3, 1, 7, 3, 4 }, { 1, 2, 3, 4, 7, 3 }, { 7, 3, 3, 7, 7, 1 }, { 3, 7, 4, 3, 0, 1 }, { 1, 3, 3, 2, 4, 7 } };

    private static readonly long?[] _offsets = [3, 2, 6, null, null];

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.BFloat16)]
    public void Positions_from_the_last_invocation_on_have_the_adapter_and_others_do_not(ScalarType type)
    {
        using var model = new TinyText(type: type);
        Tensor ids = Ids(), plain = model.call(ids);
        using LoraModel<TinyText> lora = Adapted.Wrap(model, Config);
        Tensor output = model.call(ids), everywhere;
        Assert.Equal(_offsets, lora.InvocationOffsets("default"));
        using (LoraModel<TinyText> full = Adapted.Wrap(new TinyText(type: type), Config with { InvocationTokens = [] })) everywhere = full.Model.call(ids);
        // The model has no attention, so that each position is computed by itself.
        for (int row = 0; row < 5; row++)
        {
            for (int place = 0; place < 6; place++)
            {
                bool acts = place >= 6 - (_offsets[row] ?? 0);
                Adapted.AssertRelativelyClose((acts ? everywhere : plain)[row, place], output[row, place]);
            }
        }
        Assert.True(Adapted.Difference(plain, everywhere) > 0.05);
        using (lora.Disable()) Adapted.AssertSame(plain, model.call(ids));
    }

    [Fact]
    public void Gradients_are_those_of_finite_differences()
    {
        using var model = new TinyText(type: ScalarType.Float64);
        using LoraModel<TinyText> lora = Adapted.Wrap(model, Config with { UseLoraBias = true });
        lora.AddAdapter("plain", Config with { InvocationTokens = [], Rank = 3 });
        foreach (bool mixed in new[] { false, true })
        {
            using IDisposable? rows = mixed ? lora.UsePerSample("default", "plain", LoraModel.BaseAdapter, "default", "plain") : null;
            foreach (Parameter parameter in lora.TrainableParameters()) parameter.grad?.zero_();
            model.call(Ids()).square().sum().backward();
            const double step = 1e-5;
            foreach (Parameter parameter in lora.TrainableParameters().Where(parameter => parameter.grad is not null))
            {
                using var noGrad = no_grad();
                Tensor flat = parameter.view(-1), gradient = parameter.grad!.reshape(-1);
                for (long i = 0; i < flat.numel(); i += 3)
                {
                    double value = flat[i].item<double>();
                    double Loss(double at)
                    {
                        flat[i] = at;
                        return model.call(Ids()).square().sum().item<double>();
                    }
                    double numeric = (Loss(value + step) - Loss(value - step)) / (2 * step);
                    flat[i] = value;
                    Assert.Equal(numeric, gradient[i].item<double>(), 1e-6 * Math.Max(1, Math.Abs(numeric)));
                }
            }
        }
    }

    [Fact]
    public void A_batch_without_invocation_is_the_bases_and_its_gradients_are_zero()
    {
        using var model = new TinyText();
        Tensor ids = Ids().narrow(0, 3, 2), plain = model.call(ids);
        using LoraModel<TinyText> lora = Adapted.Wrap(model, Config);
        Adapted.AssertSame(plain, model.call(ids));
        model.call(ids).sum().backward();
        Assert.All(lora.TrainableParameters(), parameter => Assert.Equal(0, parameter.grad!.abs().sum().item<float>()));
        Assert.Equal([null, null], lora.InvocationOffsets("default"));
    }

    [Fact]
    public void Samples_of_one_batch_have_invocations_of_their_own()
    {
        using var model = new TinyText(type: ScalarType.Float64);
        Tensor ids = Ids();
        using LoraModel<TinyText> lora = Adapted.Wrap(model, Config);
        lora.AddAdapter("other", Config with { InvocationTokens = [3], Rank = 4, Alpha = 3 });
        lora.AddAdapter("plain", Config with { InvocationTokens = [], Rank = 3 });
        foreach (string name in new[] { "other", "plain" })
        {
            lora.SetActive(name);
            Adapted.Fill(lora, name.Length);
        }
        lora.SetActive("default");
        string[] names = ["other", "default", "plain", LoraModel.BaseAdapter, "other"];
        var expected = new List<Tensor>();
        for (int row = 0; row < names.Length; row++)
        {
            using IDisposable use = names[row] == LoraModel.BaseAdapter ? lora.Disable() : lora.Use(names[row]);
            expected.Add(model.call(ids.narrow(0, row, 1)));
        }
        using (lora.UsePerSample(names))
        {
            Assert.True(Adapted.Difference(cat(expected, 0), model.call(ids)) < 1e-12);
            using (no_grad()) Assert.True(Adapted.Difference(cat(expected, 0), model.call(ids)) < 1e-12);
        }
        // Two at a time, each behind its own tokens.
        lora.SetActive("default", "other");
        Tensor both = model.call(ids), base0;
        using (lora.Disable()) base0 = model.call(ids);
        lora.SetActive("other");
        Adapted.AssertSame(both[4], model.call(ids)[4]);
        Assert.Equal([2, 1, 4, 3, 4], lora.InvocationOffsets("other"));
        Adapted.AssertSame(base0[4, 0], both[4, 0]);
    }

    [Fact]
    public void Tokens_that_the_model_is_not_called_with_are_named()
    {
        using var model = new TinyText();
        using LoraModel<TinyText> lora = Adapted.Wrap(model, Config);
        var layer = (nn.Module<Tensor, Tensor>)lora.Layers[0].Layer;
        Tensor input = ones([5, 6, TinyText.Width], device: TestDevice.Current);
        Assert.Equal(
            "Adapter 'default' acts behind certain tokens (alora_invocation_tokens), but the token ids of this pass are not known: call the model itself by call() with an int64 tensor [batch, length] or an ITokenInput, or name them with WithTokens.",
            Assert.Throws<InvalidOperationException>(() => layer.call(input)).Message);
        Tensor plain;
        using (lora.Disable()) plain = layer.call(input);
        using (lora.WithTokens(Ids()))
        {
            Tensor output = layer.call(input);
            Adapted.AssertSame(plain[3], output[3]);
            Adapted.AssertSame(plain[1, 3], output[1, 3]);
            Assert.True(Adapted.Difference(plain[1, 4], output[1, 4]) > 0.01);
            // The last positions, where a layer has fewer.
            Adapted.AssertSame(output.narrow(1, 5, 1), layer.call(input.narrow(1, 5, 1)));
            Adapted.AssertSame(output.select(1, 5), layer.call(input.select(1, 5)));
            Assert.Equal(
                "Adapter 'default' acts behind certain tokens (alora_invocation_tokens), and the tokens of 5 samples are known, but a layer's input has 30 rows: a layer that mixes samples or positions cannot be adapted so.",
                Assert.Throws<InvalidOperationException>(() => layer.call(input.view(30, -1))).Message);
            Assert.Equal(
                "Adapter 'default' acts behind certain tokens (alora_invocation_tokens), but a layer's input has the shape [5, 2, 3, 5]: it must have a batch, a length and a width.",
                Assert.Throws<InvalidOperationException>(() => layer.call(input.view(5, 2, 3, -1))).Message);
        }
        Assert.Throws<InvalidOperationException>(() => layer.call(input));
        Assert.Equal(
            "Token ids must be int64 or int32 of the shape [batch, length], but are Float32 [5, 6, 5]. (Parameter 'tokenIds')", Assert.Throws<ArgumentException>(() => lora.WithTokens(input)).Message);
        lora.AddAdapter("plain", Config with { InvocationTokens = [] });
        Assert.Equal("Adapter 'plain' waits for no tokens: it acts on every position. (Parameter 'name')", Assert.Throws<ArgumentException>(() => lora.InvocationOffsets("plain")).Message);
        lora.DeleteAdapter("default");
        Assert.Equal("No adapter of the model waits for tokens: WithTokens is for those with InvocationTokens.", Assert.Throws<InvalidOperationException>(() => lora.WithTokens(Ids())).Message);
    }

    [Fact]
    public void What_was_saved_is_loaded_with_its_tokens()
    {
        Tensor saved;
        using (LoraModel<TinyText> lora = Adapted.Wrap(new TinyText(), Config))
        {
            saved = lora.Model.call(Ids());
            lora.Save(_folder.Path);
            foreach (AdapterFormat format in new[] { AdapterFormat.Kohya("lora_unet"), AdapterFormat.Diffusers() })
            {
                Assert.Contains(
                    "\n  - alora_invocation_tokens is set, and there is no place for the tokens behind which the adapter acts\n",
                    Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x.safetensors"], format)).Message, StringComparison.Ordinal);
            }
        }
        Assert.Equal("[7,3]", PeftAdapterConfig.Load(_folder[PeftAdapterConfig.FileName]).Fields["alora_invocation_tokens"].GetRawText().Replace("\n", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal));
        using LoraModel<TinyText> loaded = LoraModel.Load(new TinyText(), _folder.Path);
        Assert.Empty(loaded.LoadReport);
        Adapted.AssertSame(saved, loaded.Model.call(Ids()));
        Assert.Equal([7, 3], Assert.IsType<InvocationVariant>(loaded.Layers[0].Layer.Adapter.Variant).InvocationTokens);
        Assert.Equal("q_proj  Linear 5→5  r=2 α=5 aLoRA (swapped)", loaded.Layers[0].ToString());
    }

    [Fact]
    public void It_is_not_merged_or_combined()
    {
        using LoraModel<TinyText> lora = Adapted.Wrap(new TinyText(), Config with { TargetModules = ModuleSelector.EndsWith("q_proj") });
        const string reason = "has another weight behind the invocation tokens than before them (alora_invocation_tokens), which merging would make one: keep the adapter unmerged";
        Assert.Equal(
            $"Nothing was merged, since merging would change what the model computes:\n  - adapter 'default': 'q_proj' {reason}", Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        Assert.Throws<InvalidOperationException>(() => lora.MergeAndUnload());
        Assert.Throws<InvalidOperationException>(() => lora.Layers[0].Layer.Adapters.Merge());
        Assert.Contains("'default' has alora_invocation_tokens [7,3], which cannot be combined", Assert.Throws<ArgumentException>(() => lora.Combine("x", [("default", 1)])).Message, StringComparison.Ordinal);
        Assert.Equal(
            "Adapter 'default' is one of aLoRA, which cannot be merged, but WrapOptions.MergeInEvaluation asks for it: leave that out.",
            Assert.Throws<InvalidOperationException>(() => LoraModel.Wrap(new TinyText(), Config, new WrapOptions { MergeInEvaluation = true })).Message);
    }

    [Fact]
    public void What_it_does_not_go_with_is_all_named()
    {
        LoraConfig config = Config with { InvocationTokens = [4, -1], TaskType = "SEQ_CLS", UseDora = true, Initialization = AdapterInitialization.Pissa, TargetParameters = ModuleSelector.EndsWith("w") };
        string message = Assert.Throws<ArgumentException>(config.Validate).Message;
        Assert.Contains("\n  - aLoRA (alora_invocation_tokens) does not go with DoRA (use_dora): choose one of them.\n", message, StringComparison.Ordinal);
        Assert.EndsWith(
            """

              - alora_invocation_tokens goes with task_type CAUSAL_LM only, but that is SEQ_CLS.
              - alora_invocation_tokens must hold token ids, but has -1.
              - alora_invocation_tokens does not go with target_parameters, which have no layer of their own: leave one of the two out.
              - alora_invocation_tokens does not go with init_lora_weights "pissa": aLoRA works on the whole base weight, of which such a start takes a part off.
            """,
            message, StringComparison.Ordinal);
        using var model = new TinyText();
        Assert.Equal(
            ["'tokens' is adapted by a LoraEmbedding, for which aLoRA (alora_invocation_tokens) is not defined: leave it out of the targets, or adapt it under a configuration of its own"],
            LoraModel.Explain(model, Config with { TargetModules = ModuleSelector.EndsWith("tokens", "q_proj") }).Problems);
    }

    private static Tensor Ids() => tensor(_ids, device: TestDevice.Current);
}

/// <summary>Passes with invocations leave nothing behind.</summary>
[Collection(Alone.Name)]
public sealed class InvocationLeakTests
{
    [Fact]
    public void Passes_scopes_and_handles()
    {
        using var model = new TinyText();
        using Tensor ids = TinyText.Tokens(), weights = ones([2, 4, TinyText.Width], device: TestDevice.Current);
        var config = new LoraConfig { Rank = 2, Alpha = 5, InvocationTokens = [7], TargetModules = ModuleSelector.EndsWith("q_proj") };
        Leaks.AssertNone(20, () =>
        {
            using LoraModel<TinyText> lora = LoraModel.Wrap(model, config);
            model.call(ids).Dispose();
        });
        using LoraModel<TinyText> kept = LoraModel.Wrap(model, config);
        Leaks.AssertNone(20, () =>
        {
            model.call(ids).Dispose();
            using (kept.WithTokens(ids)) ((nn.Module<Tensor, Tensor>)kept.Layers[0].Layer).call(weights).Dispose();
            using (kept.UsePerSample("default", LoraModel.BaseAdapter)) model.call(ids).Dispose();
        });
    }
}
