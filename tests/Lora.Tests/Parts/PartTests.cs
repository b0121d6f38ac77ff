using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>What holds for trained biases, full copies of modules and rows of embeddings alike.</summary>
public sealed class PartTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Kinds => ["bias_all", "bias_lora_only", "modules", "embedding", "tokens", "tied_tokens", "tied_embedding", "tied_factors", "everything"];

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_fresh_adapter_changes_nothing(string kind)
    {
        (TinyText model, LoraConfig config) = Make(kind);
        Tensor before = PartAdapters.Output(model);
        using LoraModel<TinyText> lora = LoraModel.Wrap(model, config);
        Adapted.AssertSame(before, PartAdapters.Output(model));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Disabling_and_unloading_give_the_base_back_bit_for_bit(string kind)
    {
        (TinyText model, LoraConfig config) = Make(kind);
        Tensor before = PartAdapters.Output(model);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        Tensor adapted = PartAdapters.Output(model);
        Assert.True(Adapted.Difference(before, adapted) > 0.05);
        using (lora.Disable())
        {
            Adapted.AssertSame(before, PartAdapters.Output(model));
            using (lora.Disable()) Adapted.AssertSame(before, PartAdapters.Output(model));
            Adapted.AssertSame(before, PartAdapters.Output(model));
        }
        Adapted.AssertSame(adapted, PartAdapters.Output(model));
        lora.Unload();
        Adapted.AssertSame(before, PartAdapters.Output(model));
        Assert.Equal(weights, Adapted.Weights(model));
        Assert.Equal(flags, Adapted.Flags(model));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_backward_pass_that_is_pending_survives_disabling(string kind)
    {
        Dictionary<string, byte[]>[] gradients =
        [
            .. new Action<LoraModel<TinyText>, Tensor>[]
            {
                (_, loss) => loss.backward(),
                (lora, loss) =>
                {
                    using (lora.Disable()) PartAdapters.Output(lora.Model);
                    loss.backward();
                },
                (lora, loss) =>
                {
                    using (lora.Disable()) loss.backward();
                },
            }.Select(backward =>
            {
                (TinyText model, LoraConfig config) = Make(kind);
                using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
                backward(lora, model.call(TinyText.Tokens()).square().sum());
                Assert.All(model.named_parameters().Where(p => !p.parameter.requires_grad), p => Assert.Null(p.parameter.grad));
                return PartAdapters.Gradients(lora);
            }),
        ];
        Assert.Equal(gradients[0], gradients[1]);
        Assert.Equal(gradients[0], gradients[2]);
        Assert.All(gradients[0], gradient => Assert.Contains(gradient.Value, value => value != 0));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Training_changes_the_adapter_and_leaves_the_base_alone(string kind)
    {
        (TinyText model, LoraConfig config) = Make(kind);
        Tensor before = PartAdapters.Output(model);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        string[] values = Values(lora);
        Assert.Equal(lora.AdapterTensors("default").Select(tensor => tensor.Value.Handle).Order(), lora.TrainableParameters().Select(parameter => parameter.Handle).Order());
        using var optimizer = optim.SGD(lora.TrainableParameters(), 0.05);
        model.call(TinyText.Tokens()).square().sum().backward();
        // A step within the scope reaches what was trained, not what stands in its place.
        using (lora.Disable()) optimizer.step();
        Assert.All(values.Zip(Values(lora)), pair => Assert.NotEqual(pair.First, pair.Second));
        using (lora.Disable()) Adapted.AssertSame(before, PartAdapters.Output(model));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Merging_unmerging_and_unloading_agree(string kind)
    {
        (TinyText model, LoraConfig config) = Make(kind);
        Tensor before = PartAdapters.Output(model);
        LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        Tensor adapted = PartAdapters.Output(model);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Adapted.AssertClose(adapted, PartAdapters.Output(model));
        lora.Unmerge();
        Adapted.AssertSame(adapted, PartAdapters.Output(model));
        using (lora.Disable()) Adapted.AssertSame(before, PartAdapters.Output(model));
        lora.MergeAndUnload();
        Adapted.AssertClose(adapted, PartAdapters.Output(model));
        Assert.All(model.parameters(), parameter => Assert.True(parameter.requires_grad));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_saved_adapter_comes_back_and_is_saved_alike(string kind)
    {
        (TinyText model, LoraConfig config) = Make(kind);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        Tensor adapted = PartAdapters.Output(model);
        lora.Save(_folder["one"]);
        lora.Save(_folder["again"]);
        (TinyText other, _) = Make(kind);
        using LoraModel<TinyText> loaded = LoraModel.Load(other, _folder["one"]);
        Assert.Empty(loaded.LoadReport);
        Assert.Equal(lora.Config, loaded.Config with { SaveEmbeddings = lora.Config.SaveEmbeddings, InferenceMode = lora.Config.InferenceMode });
        Adapted.AssertSame(adapted, PartAdapters.Output(other));
        loaded.Save(_folder["two"]);
        foreach (string file in new[] { "adapter_config.json", "adapter_model.safetensors" })
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(_folder["one"], file)), File.ReadAllBytes(Path.Combine(_folder["again"], file)));
            Assert.Equal(File.ReadAllBytes(Path.Combine(_folder["one"], file)), File.ReadAllBytes(Path.Combine(_folder["two"], file)));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Another_adapter_works_beside_it_with_the_base_own_weights(string kind)
    {
        (TinyText model, LoraConfig config) = Make(kind);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        Tensor adapted = PartAdapters.Output(model);
        lora.AddAdapter("plain", PartAdapters.Config);
        PartAdapters.Fill(lora, "plain", 300);
        Adapted.AssertSame(adapted, PartAdapters.Output(model));
        Tensor plain;
        using (lora.Use("plain")) plain = PartAdapters.Output(model);
        Adapted.AssertSame(adapted, PartAdapters.Output(model));
        lora.RenameAdapter("default", "renamed");
        lora.DeleteAdapter("renamed");
        lora.SetActive("plain");
        Adapted.AssertSame(plain, PartAdapters.Output(model));

        (TinyText alone, _) = Make(kind);
        using LoraModel<TinyText> single = LoraModel.Wrap(alone, PartAdapters.Config);
        PartAdapters.Fill(single, "default", 300);
        Adapted.AssertSame(PartAdapters.Output(alone), plain);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Converting_the_model_converts_what_it_does_not_list(string kind)
    {
        (TinyText model, LoraConfig config) = Make(kind);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        (TinyText twin, _) = Make(kind, ScalarType.Float32);
        Tensor adapted = PartAdapters.Output(model);
        model.to(ScalarType.Float64);
        twin.to(ScalarType.Float64);
        Tensor wide = PartAdapters.Output(model);
        Assert.Equal(ScalarType.Float64, wide.dtype);
        Assert.True(Adapted.Difference(adapted, wide) < 1e-5);
        using (lora.Disable()) Adapted.AssertSame(PartAdapters.Output(twin), PartAdapters.Output(model));
        Adapted.AssertSame(wide, PartAdapters.Output(model));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Counts_and_flags_include_it(string kind)
    {
        (TinyText model, LoraConfig config) = Make(kind);
        long total = model.parameters().Sum(parameter => parameter.numel());
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        long own = lora.AdapterTensors("default").Sum(tensor => tensor.Value.numel());
        Assert.Equal(new ParameterCounts(own, total + own), lora.ParameterCounts);
        Assert.Equal(own, LoraModel.Explain(model, config).Parameters);
        lora.SetTrainable(false);
        Assert.Empty(lora.TrainableParameters());
        using (lora.Disable()) Assert.Equal(new ParameterCounts(0, total + own), lora.ParameterCounts);
    }

    internal static (TinyText Model, LoraConfig Config) Make(string kind, ScalarType type = ScalarType.Float32) =>
        (new TinyText(kind.StartsWith("tied", StringComparison.Ordinal), type), kind switch
        {
            "bias_all" => PartAdapters.Config with { Bias = BiasKind.All },
            "bias_lora_only" => PartAdapters.Config with { Bias = BiasKind.LoraOnly },
            "modules" => PartAdapters.Config with { ModulesToSave = ["lm_head", "norm"] },
            "embedding" => PartAdapters.Config with { ModulesToSave = ["tokens"] },
            "tied_embedding" => PartAdapters.Config with { ModulesToSave = ["tokens"], EnsureWeightTying = true },
            "tied_factors" => PartAdapters.Config with { TargetModules = ModuleSelector.EndsWith("q_proj", "lm_head"), EnsureWeightTying = true },
            "everything" => PartAdapters.Config with { ModulesToSave = ["lm_head"], Bias = BiasKind.All, TrainableTokens = TrainableTokens.In("tokens", 7, 0) },
            _ => PartAdapters.Config with { TrainableTokens = TrainableTokens.Of(7, 3, 10) },
        });

    private static string[] Values(LoraModel<TinyText> lora) => [.. lora.AdapterTensors("default").Select(tensor => Convert.ToHexString(Adapted.Bits(tensor.Value)))];
}
