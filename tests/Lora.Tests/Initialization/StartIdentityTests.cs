using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Initialization;

/// <summary>What has to hold of an adapter whatever it starts from.</summary>
public sealed class StartIdentityTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static IEnumerable<TheoryDataRow<Start, bool, bool, ScalarType>> Matrix =>
        from start in Enum.GetValues<Start>()
        from transposed in (bool[])[false, true]
        from hooked in (bool[])[false, true]
        from type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16]
        select new TheoryDataRow<Start, bool, bool, ScalarType>(start, transposed, hooked, type);

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Matrix))]
    public void A_fresh_adapter_changes_nothing_and_a_trained_one_only_what_it_adds(Start start, bool transposed, bool hooked, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = Starts.Model(transposed, hooked, type);
        Tensor input = Starts.Input(type: type), plain = model.call(input);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(start, model));
        Assert.True(model.training);
        Adapted.AssertRelativelyClose(plain, model.call(input));
        Assert.Equal(start.ChangesBase(), lora.Layers.All(layer => layer.Layer.Adapter is LinearAdapter { HasStart: true }));

        lora.AddAdapter("other", Adapted.Config with { Rank = 3 });
        lora.SetActive("other");
        Adapted.Fill(lora, seed: 90);
        Tensor other = model.call(input);
        lora.SetActive("default");
        Nudge(lora);
        Tensor trained = model.call(input);
        Assert.True(Adapted.Difference(plain, trained) > 0.01);
        using (lora.Disable()) Adapted.AssertSame(plain, model.call(input));
        using (lora.Use("other")) Adapted.AssertSame(other, model.call(input));
        using (lora.UsePerSample("default", "__base__", "other", "default", "__base__"))
            Adapted.AssertRelativelyClose(cat([trained[..1], plain[1..2], other[2..3], trained[3..4], plain[4..]]), model.call(input));

        lora.Merge(new MergeOptions { KeepOriginal = true });
        Adapted.AssertRelativelyClose(trained, model.call(input));
        lora.Unmerge();
        Adapted.AssertSame(trained, model.call(input));
        lora.Unload();
        Adapted.AssertSame(plain, model.call(input));
        Assert.Equal(weights, Adapted.Weights(model));
        Assert.Equal(flags, Adapted.Flags(model));
    }

    public static IEnumerable<TheoryDataRow<Start, bool>> Splitting =>
        from start in Enum.GetValues<Start>() where start.ChangesBase() from ranks in (bool[])[false, true] select new TheoryDataRow<Start, bool>(start, ranks);

    [Theory]
    [MemberData(nameof(Splitting))]
    public void Saved_as_a_plain_adapter_it_is_right_on_the_unmodified_base(Start start, bool patterns)
    {
        nn.Module<Tensor, Tensor> model = Starts.Model(transposed: true);
        Tensor input = Starts.Input();
        LoraConfig config = Starts.With(start, model);
        if (patterns) config = config with { UseRankStabilizedScaling = true, RankPattern = new Dictionary<string, int> { ["_second"] = 3 }, AlphaPattern = new Dictionary<string, double> { ["_first"] = 3 } };
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config);
        Train(lora, input);
        Tensor trained = model.call(input);
        lora.Save(_folder.Path);

        nn.Module<Tensor, Tensor> unmodified = Starts.Model(transposed: true);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(unmodified, _folder.Path);
        Assert.InRange(Adapted.Difference(trained, unmodified.call(input)), 0, 1e-5);
        Assert.DoesNotContain("init_lora_weights", string.Concat(loaded.LoadReport), StringComparison.Ordinal);
        Assert.Equal(AdapterInitialization.Kaiming, loaded.Config.Initialization);
        Assert.Equal(lora.Layers.Select(layer => (2 * layer.Rank, Math.Round(layer.Scale, 12))), loaded.Layers.Select(layer => (layer.Rank, Math.Round(layer.Scale, 12))));

        // A second, ordinary adapter on the same wrapped model is right at the same time.
        lora.LoadAdapter("again", _folder.Path);
        using (lora.Use("again")) Assert.InRange(Adapted.Difference(trained, model.call(input)), 0, 1e-5);
    }

    [Theory]
    [InlineData(Start.Pissa, true)]
    [InlineData(Start.Pissa, false)]
    [InlineData(Start.Olora, false)]
    public void Saved_raw_its_start_is_found_again(Start start, bool transposed)
    {
        nn.Module<Tensor, Tensor> model = Starts.Model(transposed);
        Tensor input = Starts.Input();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(start, model));
        Train(lora, input);
        Tensor trained = model.call(input);
        lora.SaveAdapter("default", _folder.Path, AdapterFormat.PeftRaw);

        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(Starts.Model(transposed), _folder.Path);
        Adapted.AssertRelativelyClose(trained, loaded.Model.call(input));
        Assert.Equal(lora.Config.Initialization, loaded.Config.Initialization);
        Assert.Contains($"{lora.Config.Initialization.Name}: the adapter's start was found again from the base weights, which must be those that it was made on", loaded.LoadReport);
        using var second = new TemporaryFolder();
        loaded.SaveAdapter("default", second.Path, AdapterFormat.PeftRaw);
        foreach (string file in (string[])["adapter_config.json", "adapter_model.safetensors"]) Assert.Equal(File.ReadAllBytes(_folder[file]), File.ReadAllBytes(second[file]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Other_forms_of_files_hold_the_start_too(bool kohya)
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        Tensor input = Starts.Input();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(Start.Pissa, model));
        Nudge(lora);
        AdapterFormat format = kohya ? AdapterFormat.Kohya("lora_unet") : AdapterFormat.Diffusers();
        lora.SaveAdapter("default", _folder["start.safetensors"], format);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(Starts.Model(), _folder["start.safetensors"], null, new LoadOptions { Format = format });
        Assert.InRange(Adapted.Difference(model.call(input), loaded.Model.call(input)), 0, 2e-6);
        Assert.All(loaded.Layers, layer => Assert.Equal((4, 2.5), (layer.Rank, layer.Scale)));
    }

    [Fact]
    public void The_start_moves_with_the_model()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(Start.Pissa, model));
        Nudge(lora);
        Tensor single = model.call(Starts.Input());
        model.to(ScalarType.Float64);
        Tensor twice = model.call(Starts.Input(type: ScalarType.Float64));
        Assert.Equal(ScalarType.Float64, twice.dtype);
        Assert.InRange(Adapted.Difference(single, twice), 0, 1e-6);
    }

    [Fact]
    public void Combining_counts_the_start()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        Tensor input = Starts.Input();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(Start.Pissa, model));
        Nudge(lora);
        lora.AddAdapter("olora", Starts.With(Start.Olora, model, Starts.Config with { Rank = 3 }));
        lora.SetActive("olora");
        Nudge(lora);
        lora.SetActive("default", "olora");
        Tensor both = model.call(input);
        foreach (CombineMethod method in (CombineMethod[])[CombineMethod.Cat, CombineMethod.Svd])
        {
            lora.Combine(method.Name, [("default", 1), ("olora", 1)], new CombineOptions { Method = method, Rank = method == CombineMethod.Svd ? 6 : null });
            using (lora.Use(method.Name)) Assert.InRange(Adapted.Difference(both, model.call(input)), 0, method == CombineMethod.Cat ? 2e-6 : 0.5);
        }
    }

    // As training would, in small steps.
    private static void Nudge(LoraModel<nn.Module<Tensor, Tensor>> lora)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        int seed = 70;
        foreach (AdapterLayer layer in lora.Layers.Where(layer => layer.Layer.Adapters.Active.Count > 0))
            foreach ((_, Parameter parameter) in layer.Layer.Adapter.FileTensors) parameter.add_(Noise.Fill(empty_like(parameter), seed++, 0.3));
    }

    private static void Train(LoraModel<nn.Module<Tensor, Tensor>> lora, Tensor input)
    {
        using var optimizer = optim.AdamW(lora.TrainableParameters(), lr: 0.02);
        for (int i = 0; i < 5; i++)
        {
            optimizer.zero_grad();
            lora.Model.call(input).sub(1).square().mean().backward();
            optimizer.step();
        }
    }
}
