using Lora.Tests.Models;
using Lora.Tests.Parts;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Mixing;

/// <summary>Each sample gets what its adapter has beside layers: full copies of modules, biases, rows of embeddings.</summary>
public sealed class PartsPerSampleTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Kinds => ["copies", "tied copy", "rows", "tied rows", "copy and rows, tied", "tied factors", "biases", "adapted biases"];

    public static MatrixTheoryData<string, string> Cases => new(["copies", "tied copy", "rows", "tied rows", "copy and rows, tied", "tied factors", "biases", "adapted biases"], ["dw-w", "wwdd", "-", "ww", "d-d-w-"]);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Rows_are_those_of_single_runs(string kind, string pattern)
    {
        using LoraModel<TinyText> lora = Make(kind);
        (string[] names, Tensor tokens) = Batch(pattern);
        Tensor expected = ThreeAdapters.RowByRow(lora, names, tokens), active = lora.Model.call(tokens), plain;
        IReadOnlyList<(string, string)> weights = Adapted.Weights(lora.Model);
        using (lora.Disable()) plain = lora.Model.call(tokens);
        using (lora.UsePerSample(names))
        {
            Adapted.AssertClose(expected, lora.Model.call(tokens));
            using (no_grad()) Adapted.AssertClose(expected, lora.Model.call(tokens));
            using (lora.Disable()) Adapted.AssertSame(plain, lora.Model.call(tokens));
            using (lora.Use("default")) Adapted.AssertSame(active, lora.Model.call(tokens));
            using (lora.UsePerSample(Enumerable.Repeat(LoraModel.BaseAdapter, names.Length))) Adapted.AssertSame(plain, lora.Model.call(tokens));
            Adapted.AssertClose(expected, lora.Model.call(tokens));
        }
        Adapted.AssertSame(active, lora.Model.call(tokens));
        Assert.Equal(weights, Adapted.Weights(lora.Model));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Gradients_reach_each_adapters_own(string kind)
    {
        using LoraModel<TinyText> lora = Make(kind);
        (string[] names, Tensor tokens) = Batch("dw-w");
        using (lora.UsePerSample(names)) lora.Model.call(tokens).square().sum().backward();
        Dictionary<string, Tensor> mixed = Gradients();
        lora.Model.zero_grad();
        foreach (string name in lora.AdapterNames)
        {
            foreach ((_, Parameter parameter) in lora.AdapterTensors(name)) parameter.grad = null;
            using (lora.Use(name)) lora.Model.call(RowsOf(name)).square().sum().backward();
        }
        Dictionary<string, Tensor> alone = Gradients();
        Assert.Equal(alone.Keys, mixed.Keys);
        Assert.All(alone, pair => Assert.True(Adapted.Difference(pair.Value, mixed[pair.Key]) < 1e-4 * (1 + pair.Value.abs().max().item<float>()), pair.Key));
        Assert.All(lora.Model.parameters().Where(parameter => !parameter.requires_grad), parameter => Assert.Null(parameter.grad));

        Dictionary<string, Tensor> Gradients() => lora.AdapterNames.SelectMany(name => lora.AdapterTensors(name).Select(tensor => ($"{name}: {tensor.Key}", tensor.Value.grad?.clone())))
            .Where(pair => pair.Item2 is not null).ToDictionary(pair => pair.Item1, pair => pair.Item2!);

        Tensor RowsOf(string name) => tokens.index_select(0, tensor(names.Index().Where(pair => pair.Item == name).Select(pair => (long)pair.Index).ToArray(), device: tokens.device));
    }

    [Theory]
    [InlineData(Holder.Field)]
    [InlineData(Holder.TypedField)]
    public void Biases_of_layers_that_are_swapped_or_hooked(Holder holder)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(TestModels.Make(holder), Adapted.Config with { Bias = BiasKind.All });
        lora.AddAdapter("wide", LoraConfig.AllLinear(rank: 3, alpha: 7));
        ThreeAdapters.Fill(lora);
        foreach ((string key, Parameter parameter) in lora.AdapterTensors("default").Where(tensor => tensor.Key.EndsWith(".bias", StringComparison.Ordinal))) Noise.Fill(parameter, key.Length, 2);
        string[] names = ThreeAdapters.Names("dw-d");
        Tensor input = TestModels.Input(), expected = ThreeAdapters.RowByRow(lora, names, input);
        Assert.Equal(holder == Holder.Field ? AttachmentKind.Swapped : AttachmentKind.Hooked, lora.Layers[0].Attachment);
        using (lora.UsePerSample(names))
        {
            Adapted.AssertClose(expected, lora.Model.call(input));
            using (no_grad()) Adapted.AssertClose(expected, lora.Model.call(input));
        }
    }

    [Fact]
    public void A_copy_of_a_module_that_holds_others_and_hooks_that_see_the_batch()
    {
        var inner = (Linear)LayerKind.Linear.Make(5, 5);
        var model = new FieldModel(LayerKind.Linear.Make(TestModels.In, 5), nn.Sequential(("inner", inner), ("norm", nn.LayerNorm(5, device: TestDevice.Current))));
        List<long> seen = [];
        model.Second.register_forward_hook((_, _, output) =>
        {
            seen.Add(output.shape[0]);
            return output;
        });
        LoraConfig config = new() { Rank = 2, Alpha = 3, TargetModules = ModuleSelector.EndsWith("_first") };
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, config with { ModulesToSave = ["_second"] });
        lora.AddAdapter("wide", config with { ModulesToSave = ["inner"] });
        lora.AddAdapter("late", config);
        using (no_grad())
        {
            int seed = 30;
            foreach ((_, Parameter parameter) in lora.AdapterNames.SelectMany(lora.AdapterTensors)) Noise.Fill(parameter, seed++, 1);
        }
        string[] names = ThreeAdapters.Names("wdl-dw");
        Tensor input = Noise.Fill(empty([6, TestModels.In], ScalarType.Float32, TestDevice.Current), 3, 1), expected = ThreeAdapters.RowByRow(lora, names, input);
        seen.Clear();
        using (lora.UsePerSample(names)) Adapted.AssertClose(expected, model.call(input));
        Assert.Equal([6], seen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_copy_of_a_module_that_holds_adapted_layers(bool hooked)
    {
        nn.Module<Tensor, Tensor> second = hooked
            ? new TypedFieldModel<Linear>((Linear)LayerKind.Linear.Make(5, 5, seed: 5), (Linear)LayerKind.Linear.Make(5, 3, seed: 8))
            : new FieldModel(LayerKind.Linear.Make(5, 5, seed: 5), LayerKind.Linear.Make(5, 3, seed: 8));
        var model = new FieldModel(LayerKind.Linear.Make(TestModels.In, 5), second);
        LoraConfig config = new() { Rank = 2, Alpha = 3, TargetModules = ModuleSelector.Regex("_first|_second[.]_first") };
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, config);
        lora.AddAdapter("wide", config with { TargetModules = ModuleSelector.Regex("_first"), ModulesToSave = ["_second"] });
        using (no_grad())
        {
            int seed = 30;
            foreach ((_, Parameter parameter) in lora.AdapterNames.SelectMany(lora.AdapterTensors)) Noise.Fill(parameter, seed++, 1);
        }
        Tensor input = TestModels.Input();
        foreach (string pattern in new[] { "wd-w", "ww--", "wwww" })
        {
            string[] names = ThreeAdapters.Names(pattern);
            Tensor expected = ThreeAdapters.RowByRow(lora, names, input);
            using (lora.UsePerSample(names))
            {
                Adapted.AssertClose(expected, model.call(input));
                using (no_grad()) Adapted.AssertClose(expected, model.call(input));
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Weights_of_one_module_that_come_by_different_settings(bool tied)
    {
        using var folder = new TemporaryFolder();
        LoraConfig config = tied
            ? PartAdapters.Config with { TargetModules = ModuleSelector.EndsWith("tokens"), EnsureWeightTying = true, SaveEmbeddings = true }
            : PartAdapters.Config with { Bias = BiasKind.All, SaveEmbeddings = true };
        using (LoraModel<TinyText> saved = PartAdapters.Wrap(new TinyText(tied), config)) saved.Save(folder.Path);
        using var model = new TinyText(tied);
        using (no_grad())
            foreach ((string name, Parameter parameter) in model.named_parameters()) Noise.Fill(parameter, 300 + name.Length, 1);
        using LoraModel<TinyText> lora = LoraModel.Load(model, folder.Path);
        lora.AddAdapter("wide", PartAdapters.Config with { ModulesToSave = [tied ? "norm" : "lm_head"] });
        PartAdapters.Fill(lora, "wide", 500);
        (string[] names, Tensor tokens) = Batch("dw-d");
        Tensor expected = ThreeAdapters.RowByRow(lora, names, tokens);
        using (lora.UsePerSample(names)) Adapted.AssertClose(expected, model.call(tokens));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_scope_that_outlives_its_handle_leaves_the_model(string kind)
    {
        LoraModel<TinyText> lora = Make(kind);
        (string[] names, Tensor tokens) = Batch("dw-w");
        Tensor plain = ThreeAdapters.Alone(lora, LoraModel.BaseAdapter, tokens);
        IDisposable scope = lora.UsePerSample(names);
        TinyText model = lora.Unload();
        Adapted.AssertSame(plain, model.call(tokens));
        scope.Dispose();
        Adapted.AssertSame(plain, model.call(tokens));
        model.Dispose();
    }

    [Fact]
    public void Copies_with_buffers()
    {
        var model = new FieldModel(LayerKind.Linear.Make(TestModels.In, 5), nn.BatchNorm1d(5, device: TestDevice.Current));
        Tensor input = TestModels.Input();
        model.call(input);
        model.eval();
        LoraConfig config = new() { Rank = 2, Alpha = 3, TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["_second"] };
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, config);
        lora.AddAdapter("wide", config);
        foreach ((string name, int seed) in new[] { ("default", 30), ("wide", 60) })
        {
            using (no_grad())
                foreach ((_, Parameter parameter) in lora.AdapterTensors(name)) Noise.Fill(parameter, seed, 1);
            using (lora.Use(name)) ((BatchNorm1d)model.Second).running_mean!.add_(seed);
        }
        string[] names = ThreeAdapters.Names("dw-d");
        Tensor expected = ThreeAdapters.RowByRow(lora, names, input);
        using (lora.UsePerSample(names)) Adapted.AssertRelativelyClose(expected, model.call(input));
    }

    [Fact]
    public void Another_number_of_rows_is_found_at_the_module()
    {
        using LoraModel<TinyText> lora = Make("copies");
        (string[] names, Tensor tokens) = Batch("dw-w");
        using (lora.UsePerSample(names))
        {
            const string text = "Adapters are named for 4 samples, but the input of 'lm_head' has 3 rows: name one for each row of the first dimension, '__base__' for none.";
            Assert.Equal(text, Assert.Throws<InvalidOperationException>(() => lora.Model.lm_head.call(ones([3, TinyText.Width], device: TestDevice.Current))).Message);
            Adapted.AssertClose(ThreeAdapters.RowByRow(lora, names, tokens), lora.Model.call(tokens));
        }
    }

    [Fact]
    public void What_cannot_part_is_named()
    {
        using var model = new FieldModel(new Biased(), LayerKind.Linear.Make(5, 3));
        LoraConfig config = new() { Rank = 2, TargetModules = ModuleSelector.EndsWith("_second"), Bias = BiasKind.All, TrainableTokens = TrainableTokens.In("tokens", 1) };
        using LoraModel<FieldModel> lora = LoraModel.Wrap<FieldModel>(model, config);
        Assert.Equal(
            """
            The samples of a batch cannot use different adapters:
              - adapter 'default' has its own '_first' by bias, in which it has rows of '_first.tokens' too
            Run them one adapter after the other, with Use.
            """,
            Assert.Throws<InvalidOperationException>(() => lora.UsePerSample("default", LoraModel.BaseAdapter)).Message,
            ignoreLineEndingDifferences: true);

        using var other = new FieldModel(LayerKind.Linear.Make(TestModels.In, 5), new Doubled());
        using LoraModel<FieldModel> gated = LoraModel.Wrap(other, new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["gate"] });
        Assert.Equal(
            """
            The samples of a batch cannot use different adapters:
              - adapter 'default' has its own '_second.gate' by modules_to_save, which is not one tensor in and one out
            Run them one adapter after the other, with Use.
            """,
            Assert.Throws<InvalidOperationException>(() => gated.UsePerSample("default", LoraModel.BaseAdapter)).Message,
            ignoreLineEndingDifferences: true);
        other.call(TestModels.Input());
    }

    [Fact]
    public void A_module_that_changes_the_first_dimension_is_found_when_it_is_called()
    {
        var model = new FieldModel(LayerKind.Linear.Make(TestModels.In, 5), new Flat());
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["_second"] });
        using (lora.UsePerSample("default", LoraModel.BaseAdapter))
        {
            Assert.Equal(
                "'_second' gives [3, 5] for [1, 3, 5]: the samples of a batch can use different adapters only where its first dimension stays. Run them one adapter after the other, with Use.",
                Assert.Throws<InvalidOperationException>(() => model.call(TestModels.Input(3))).Message);
        }
        Assert.Equal([6, 5], model.call(TestModels.Input(3)).shape);
    }

    internal static LoraModel<TinyText> Make(string kind)
    {
        LoraConfig config = PartAdapters.Config;
        LoraConfig[] configs = kind switch
        {
            "copies" => [config with { ModulesToSave = ["lm_head"] }, config with { ModulesToSave = ["norm", "lm_head"] }],
            "tied copy" => [config with { ModulesToSave = ["tokens"], EnsureWeightTying = true }, config with { ModulesToSave = ["norm"] }],
            "rows" or "tied rows" => [config with { TrainableTokens = TrainableTokens.Of(3, 7) }, config with { TrainableTokens = TrainableTokens.Of(0, 3, 9) }],
            "copy and rows, tied" => [config with { ModulesToSave = ["tokens"], EnsureWeightTying = true }, config with { TrainableTokens = TrainableTokens.Of(0, 3, 9) }],
            "tied factors" => [config with { TargetModules = ModuleSelector.EndsWith("tokens"), EnsureWeightTying = true }, config with { ModulesToSave = ["norm"] }],
            "biases" => [config with { Bias = BiasKind.All }, config with { ModulesToSave = ["lm_head"] }],
            "adapted biases" => [config, config with { Bias = BiasKind.LoraOnly }],
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        };
        LoraModel<TinyText> lora = PartAdapters.Wrap(new TinyText(kind.Contains("tied", StringComparison.Ordinal)), configs[0]);
        lora.AddAdapter("wide", configs[1]);
        PartAdapters.Fill(lora, "wide", 500);
        return lora;
    }

    private static (string[] Names, Tensor Tokens) Batch(string pattern)
    {
        long[] ids = [.. Enumerable.Range(0, pattern.Length * 4).Select(i => (long)((i * 7) + (i / 3)) % TinyText.Vocabulary)];
        return (ThreeAdapters.Names(pattern), tensor(ids, [pattern.Length, 4], device: TestDevice.Current));
    }

    private sealed class Biased : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> tokens = nn.Embedding(4, 5, device: TestDevice.Current);
        private readonly Parameter bias = new(ones([5], device: TestDevice.Current));

        public Biased()
            : base(nameof(Biased)) => RegisterComponents();

        public override Tensor forward(Tensor input) => tokens.call(input).add(bias);
    }

    private sealed class Doubled : nn.Module<Tensor, Tensor>
    {
        private readonly Gate gate = new();

        public Doubled()
            : base(nameof(Doubled)) => RegisterComponents();

        public override Tensor forward(Tensor input) => gate.call(input, input);
    }

    private sealed class Gate : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Parameter _gain = new(ones([5], device: TestDevice.Current));

        public Gate()
            : base(nameof(Gate)) => RegisterComponents();

        public override Tensor forward(Tensor value, Tensor gate) => value.mul(gate).mul(_gain);
    }

    private sealed class Flat : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter _gain = new(ones([5], device: TestDevice.Current));

        public Flat()
            : base(nameof(Flat)) => RegisterComponents();

        public override Tensor forward(Tensor input) => input.reshape(-1, 5).mul(_gain);
    }
}
