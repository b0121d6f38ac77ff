using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization.Formats;

/// <summary>Files of kohya's sd-scripts, against its own formula, and back again.</summary>
public sealed class KohyaTests : IDisposable
{
    private static readonly AdapterFormat _format = AdapterFormat.Kohya("lora_unet");
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, Tensor> _tensors = [];

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Pairs_of_several_ranks_and_alphas(bool foldAlpha)
    {
        Tensor first = Pair("lora_unet__inner__first", [3, 7], [5, 3], alpha: 1.5), second = Pair("lora_unet__inner__second", [2, 5], [4, 2], alpha: null);
        NestedModel model = Nested();
        Tensor x = Noise.Fill(empty([6, 7], device: TestDevice.Current), 4, 1);
        Tensor expected = Chain(x, first, second);
        using LoraModel<NestedModel> lora = Load(model, AdapterFormat.Kohya("lora_unet_", foldAlpha: foldAlpha));
        Assert.Empty(lora.LoadReport);
        Assert.Equal([3, 2], lora.Layers.Select(layer => layer.Layer.Adapter.Rank));
        Assert.Equal(foldAlpha ? [3, 2] : [1.5, 2], lora.Layers.Select(layer => layer.Layer.Adapter.Alpha));
        Adapted.AssertClose(expected, model.call(x));
    }

    [Theory]
    [InlineData(LayerKind.Conv2dRectangular)]
    [InlineData(LayerKind.Conv2dPointwise)]
    public void A_convolution(LayerKind kind)
    {
        FieldModel model = new(kind.Make(7, 5), kind.Make(5, 3, seed: 3));
        var first = (Conv2d)model.First;
        Tensor down = Put("lora_unet__first.lora_down.weight", [2, .. first.weight.shape[1..]]), up = Put("lora_unet__first.lora_up.weight", [5, 2, 1, 1]);
        Put("lora_unet__first.alpha", 5);
        Tensor x = kind.Input(3, ScalarType.Float32);
        Tensor expected;
        using (no_grad())
        {
            Tensor narrow = nn.functional.conv2d(x, down, strides: [.. first.stride], padding: [.. first.padding!]);
            expected = model.Second.call(first.call(x).add(nn.functional.conv2d(narrow, up).mul(5.0 / 2)).tanh());
        }
        using LoraModel<FieldModel> lora = Load(model);
        Adapted.AssertClose(expected, model.call(x));
    }

    [Theory]
    [InlineData(LayerKind.Linear)]
    [InlineData(LayerKind.Conv2dWithoutBias)]
    public void There_and_back_it_is_the_same_file(LayerKind kind)
    {
        FieldModel model = new(kind.Make(7, 5), kind.Make(5, 3, seed: 3));
        long[] kernel = kind == LayerKind.Linear ? [] : [2, 2], ones = kind == LayerKind.Linear ? [] : [1, 1];
        foreach ((string layer, long[] shape, double alpha) in new[] { ("first", new long[] { 7, 5, 3 }, 1.1), ("second", new long[] { 5, 3, 2 }, 8) })
        {
            Put($"lora_unet__{layer}.lora_down.weight", [shape[2], shape[0], .. kernel]);
            Put($"lora_unet__{layer}.lora_up.weight", [shape[1], shape[2], .. ones]);
            Put($"lora_unet__{layer}.alpha", alpha);
        }
        using (LoraModel<FieldModel> lora = Load(model)) lora.SaveAdapter("default", _folder["again.safetensors"], _format);
        using SafetensorsFile before = SafetensorsFile.Open(_folder["lora.safetensors"]), after = SafetensorsFile.Open(_folder["again.safetensors"]);
        Assert.Equal(before.Entries.Select(entry => entry.ToString()), after.Entries.Select(entry => entry.ToString()));
        foreach (SafetensorsEntry entry in before.Entries) Adapted.AssertSame(before.ReadTensor(entry.Name), after.ReadTensor(entry.Name));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_adapter_of_ours_comes_back(bool isRankStabilized)
    {
        LoraConfig config = Adapted.Config with { UseRankStabilizedScaling = isRankStabilized, RankPattern = new Dictionary<string, int> { ["_first"] = 3 }, AlphaPattern = new Dictionary<string, double> { ["_second"] = 1.5 } };
        NestedModel model = Nested();
        Tensor expected, x = TestModels.Input();
        using (LoraModel<NestedModel> lora = Adapted.Wrap(model, config))
        {
            expected = model.call(x);
            lora.SaveAdapter("default", _folder["lora.safetensors"], _format);
        }
        using (SafetensorsFile file = SafetensorsFile.Open(_folder["lora.safetensors"]))
        {
            Assert.Equal("networks.lora", file.Metadata["ss_network_module"]);
            Assert.Equal("Dynamic", file.Metadata["ss_network_dim"]);
        }
        using (var loaded = LoraModel.Load(model, _folder["lora.safetensors"], loading: new LoadOptions { Format = _format }))
        {
            Adapted.AssertClose(expected, model.call(x));
            // And goes on as an adapter of PEFT's.
            loaded.Save(_folder["peft"]);
        }
        using var peft = LoraModel.Load(model, _folder["peft"]);
        Adapted.AssertClose(expected, model.call(x));
    }

    [Fact]
    public void A_model_of_several_has_a_prefix_for_each()
    {
        AdapterFormat format = AdapterFormat.Kohya(new Dictionary<string, string> { ["lora_te"] = "", ["lora_unet"] = "_inner" });
        NestedModel model = Nested();
        Tensor expected, x = TestModels.Input();
        using (LoraModel<NestedModel> lora = Adapted.Wrap(model))
        {
            expected = model.call(x);
            lora.SaveAdapter("default", _folder["lora.safetensors"], format);
        }
        using (SafetensorsFile file = SafetensorsFile.Open(_folder["lora.safetensors"])) Assert.All(file.Entries, entry => Assert.StartsWith("lora_unet__", entry.Name, StringComparison.Ordinal));
        using var loaded = LoraModel.Load(model, _folder["lora.safetensors"], loading: new LoadOptions { Format = format });
        Adapted.AssertSame(expected, model.call(x));
    }

    [Fact]
    public void Other_models_tensors_are_passed_over_only_where_that_is_said()
    {
        Pair("lora_unet__inner__first", [3, 7], [5, 3], alpha: 1.5);
        Put("lora_te_text_model.alpha", 1);
        NestedModel model = Nested();
        Assert.Equal(
            ["unexpected tensor lora_te_text_model.alpha: it begins with none of the prefixes lora_unet_"],
            Assert.Throws<AdapterFormatException>(() => Load(model)).Problems);
        using LoraModel<NestedModel> lora = Load(model, AdapterFormat.Kohya("lora_unet", ["lora_te", "lora_te2_"]));
        Assert.Equal(["tensors for other models (lora_te_, lora_te2_) were passed over: 1"], lora.LoadReport);
    }

    [Fact]
    public void Everything_that_belongs_nowhere_is_named()
    {
        Pair("lora_unet__inner__first", [3, 7], [5, 3], alpha: 1.5);
        Put("lora_unet__inner__second.lora_down.weight", [2, 5]);
        Put("lora_unet__inner__secnd.lora_down.weight", [2, 5]);
        Put("lora_unet__inner__secnd.alpha", 2);
        Put("lora_unet__inner__first.dora_scale", [5, 1]);
        Put("lora_unet__inner__first.lora_mid.weight", [2, 2]);
        Put("lora_unet__inner__second.hada_w1_a", [2, 2]);
        Put("lora_unet__inner__second.lokr_w1", [2, 2]);
        Put("lora_unet__inner__second.bias", [2, 2]);
        Assert.Equal(
            [
                "'_inner._second' has lora_unet__inner__second.lora_down.weight only: the up-projection is missing",
                "lora_unet__inner__secnd is no module of the model; did you mean lora_unet__inner__second, lora_unet__inner__first?",
                "unexpected tensor lora_unet__inner__first.dora_scale: it is the magnitudes of DoRA, which this version does not read from here",
                "unexpected tensor lora_unet__inner__first.lora_mid.weight: it is the core of a Tucker decomposition, which is no LoRA of two factors",
                "unexpected tensor lora_unet__inner__second.bias: lora_down.weight, lora_up.weight and alpha are all that a layer has in this form",
                "unexpected tensor lora_unet__inner__second.hada_w1_a: it is LoHa",
                "unexpected tensor lora_unet__inner__second.lokr_w1: it is LoKr",
            ],
            Assert.Throws<AdapterFormatException>(() => Load(Nested())).Problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_file_for_another_model_says_so()
    {
        Put("lora_te_a.alpha", 1);
        Assert.Equal(
            ["no tensor begins with lora_unet_; the file has lora_te_a.alpha"],
            Assert.Throws<AdapterFormatException>(() => Load(Nested(), AdapterFormat.Kohya("lora_unet", ["lora_te"]))).Problems);
    }

    [Fact]
    public void A_name_that_may_be_two_is_refused()
    {
        Pair("lora_unet_a_b", [2, 3], [4, 2], alpha: 1);
        Assert.Equal(
            ["lora_unet_a_b may be 'a_b' or 'a.b', whose names differ in dots only: rename one of the modules"],
            Assert.Throws<AdapterFormatException>(() => Load(Ambiguous())).Problems);
        using LoraModel<Sequential> lora = LoraModel.Wrap(Ambiguous(), Adapted.Config);
        Assert.Equal(
            """
            Adapter 'default' cannot be saved in the form of kohya:
              - 'a_b' and 'a.b' have the same name in this form, lora_unet_a_b
            Save it in PEFT's form, which carries everything.
            """,
            Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x.safetensors"], _format)).Message, ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Shapes_and_alphas_must_be_possible()
    {
        Put("lora_unet__inner__first.lora_down.weight", [3]);
        Put("lora_unet__inner__first.lora_up.weight", [5, 3]);
        Put("lora_unet__inner__second.lora_down.weight", [2, 5]);
        Put("lora_unet__inner__second.lora_up.weight", [3, 2]);
        Put("lora_unet__inner__second.alpha", [2]);
        Assert.Equal(
            [
                "tensor lora_unet__inner__first.lora_down.weight has the shape [3], which is none of a down-projection",
                "tensor lora_unet__inner__second.alpha is a F32 of the shape [2], but one number is needed",
            ],
            Assert.Throws<AdapterFormatException>(() => Load(Nested())).Problems);
        _tensors.Clear();
        Put("lora_unet__inner__first.lora_down.weight", [3, 6]);
        Put("lora_unet__inner__first.lora_up.weight", [5, 3]);
        Put("lora_unet__inner__first.alpha", 0);
        Assert.Equal(
            ["tensor lora_unet__inner__first.lora_down.weight has the shape [3, 6], but [3, 7] is needed"],
            Assert.Throws<AdapterFormatException>(() => Load(Nested())).Problems);
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    public void An_alpha_may_be_of_any_type_and_0_stands_for_the_rank(ScalarType type)
    {
        Pair("lora_unet__inner__first", [3, 7], [5, 3], alpha: null);
        Pair("lora_unet__inner__second", [2, 5], [4, 2], alpha: null);
        _tensors["lora_unet__inner__first.alpha"] = tensor(6f).to(type);
        _tensors["lora_unet__inner__second.alpha"] = zeros([1], type);
        using LoraModel<NestedModel> lora = Load(Nested());
        Assert.Equal([6, 2], lora.Layers.Select(layer => layer.Layer.Adapter.Alpha));
        Assert.Equal(["the alpha of '_inner._second' is 0, which stands for the rank, 2"], lora.LoadReport);
    }

    [Fact]
    public void What_the_form_cannot_carry_is_refused_by_name()
    {
        FieldModel model = new(LayerKind.Embedding.Make(7, 5), LayerKind.Linear.Make(5, 3));
        LoraConfig config = Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first", "_second"), AlphaPattern = new Dictionary<string, double> { ["_second"] = 0 }, Bias = BiasKind.LoraOnly };
        using (LoraModel<FieldModel> lora = LoraModel.Wrap(model, config))
        {
            Assert.Equal(
                """
                Adapter 'default' cannot be saved in the form of kohya:
                  - bias is set, and there is no place for what it trains
                  - '_first' is a Embedding adapted by a LoraEmbedding, and there is a place for the adapters of linear layers and Conv2d only
                  - the alpha of '_second' is 0, which is read as the rank in this form
                Save it in PEFT's form, which carries everything.
                """,
                Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x.safetensors"], _format)).Message, ignoreLineEndingDifferences: true);
        }
        model = new(LayerKind.Conv2dGrouped.Make(6, 4), LayerKind.Conv2dGrouped.Make(4, 4));
        using (LoraModel<FieldModel> lora = LoraModel.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first"), UseLoraBias = true }))
        {
            Assert.Equal(
                """
                Adapter 'default' cannot be saved in the form of kohya:
                  - lora_bias is set, and there is no place for the bias of lora_up
                  - '_first' is in none of the modules that prefixes are given for (unet)
                  - '_first' is a convolution in groups, and lora_up has none in this form
                Save it in PEFT's form, which carries everything.
                """,
                Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x.safetensors"], AdapterFormat.Kohya(new Dictionary<string, string> { ["a"] = "unet" }))).Message, ignoreLineEndingDifferences: true);
        }
        Assert.False(File.Exists(_folder["x.safetensors"]));
    }

    [Fact]
    public void Prefixes_of_paths_are_not_renamed()
    {
        Pair("lora_unet__inner__first", [3, 7], [5, 3], alpha: 1.5);
        Write();
        var loading = new LoadOptions { Format = _format, RenamedPrefixes = new Dictionary<string, string> { ["a"] = "b" } };
        Assert.StartsWith(
            "RenamedPrefixes renames parts of paths, which kohya's names do not have: give the prefixes to the form.",
            Assert.Throws<ArgumentException>(() => LoraModel.Load(Nested(), _folder["lora.safetensors"], loading: loading)).Message, StringComparison.Ordinal);
    }

    private static NestedModel Nested() => new(new FieldModel(LayerKind.Linear.Make(7, 5, seed: 10), LayerKind.Linear.Make(5, 4, seed: 20)));

    private static Sequential Ambiguous() => nn.Sequential(("a_b", LayerKind.Linear.Make(3, 4)), ("a", nn.Sequential(("b", LayerKind.Linear.Make(4, 4)))));

    // The base model's layers with what is added to each.
    private static Tensor Chain(Tensor x, Tensor first, Tensor second)
    {
        using var noGrad = no_grad();
        nn.Module<Tensor, Tensor> a = LayerKind.Linear.Make(7, 5, seed: 10), b = LayerKind.Linear.Make(5, 4, seed: 20);
        Tensor hidden = a.call(x).add(x.matmul(first.t())).tanh();
        return b.call(hidden).add(hidden.matmul(second.t()));
    }

    private LoraModel<TModel> Load<TModel>(TModel model, AdapterFormat? format = null)
        where TModel : nn.Module
    {
        Write();
        return LoraModel.Load(model, _folder["lora.safetensors"], loading: new LoadOptions { Format = format ?? _format });
    }

    private void Write() => SafetensorsWriter.Save(_folder["lora.safetensors"], _tensors);

    private Tensor Pair(string name, long[] down, long[] up, double? alpha)
    {
        if (alpha is double value) Put($"{name}.alpha", value);
        Tensor a = Put($"{name}.lora_down.weight", down);
        return Put($"{name}.lora_up.weight", up).matmul(a).mul((alpha ?? down[0]) / down[0]);
    }

    private Tensor Put(string name, long[] shape) => _tensors[name] = Noise.Fill(empty(shape, device: TestDevice.Current), seed: 60 + _tensors.Count, range: 0.5);

    private void Put(string name, double alpha) => _tensors[name] = tensor((float)alpha);
}
