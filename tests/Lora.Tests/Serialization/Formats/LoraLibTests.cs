using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization.Formats;

/// <summary>Checkpoints of loralib, against its own formulas in float64.</summary>
public sealed class LoraLibTests : IDisposable
{
    private const int Rank = 3;
    private const double Alpha = 7;
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, Tensor> _tensors = [];

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [InlineData(LayerKind.Linear)]
    [InlineData(LayerKind.Transposed)]
    public void Linear_layers(LayerKind kind)
    {
        FieldModel model = Model(kind.Make(7, 5, ScalarType.Float64), kind.Make(5, 4, ScalarType.Float64, seed: 3));
        Tensor first = Delta("_first", [Rank, 7], [5, Rank]), second = Delta("_second", [Rank, 5], [4, Rank]);
        Tensor x = Noise.Fill(empty([6, 7], ScalarType.Float64, TestDevice.Current), 4, 1);
        Tensor hidden = model.First.call(x).add(x.matmul(first.t())).tanh();
        Tensor expected = model.Second.call(hidden).add(hidden.matmul(second.t()));
        using LoraModel<FieldModel> lora = Load(model);
        Assert.Empty(lora.LoadReport);
        Adapted.AssertClose(expected, model.call(x));
    }

    [Fact]
    public void An_embedding()
    {
        FieldModel model = Model(LayerKind.Embedding.Make(7, 5, ScalarType.Float64), LayerKind.Linear.Make(5, 4, ScalarType.Float64, seed: 3));
        Tensor delta = Delta("_first", [Rank, 7], [5, Rank]);
        Tensor x = tensor(new long[] { 6, 2, 2, 0 }, device: TestDevice.Current);
        Tensor expected = model.Second.call(model.First.call(x).add(delta.t().index_select(0, x)).tanh());
        using LoraModel<FieldModel> lora = Load(model, Config with { TargetModules = ModuleSelector.EndsWith("_first") });
        Adapted.AssertClose(expected, model.call(x));
    }

    [Fact]
    public void A_merged_linear_layer()
    {
        FieldModel model = Model(LayerKind.Linear.Make(7, 15, ScalarType.Float64), LayerKind.Linear.Make(15, 4, ScalarType.Float64, seed: 3));
        // loralib convolves A with B in as many groups as parts are enabled, and puts zeros between.
        Tensor a = Put("_first.lora_A", [2 * Rank, 7]), b = Put("_first.lora_B", [10, Rank]);
        Tensor groups = nn.functional.conv1d(a.unsqueeze(0), b.unsqueeze(-1), groups: 2).squeeze(0).mul(Alpha / Rank);
        Tensor delta = cat([groups.narrow(0, 0, 5), zeros_like(groups.narrow(0, 0, 5)), groups.narrow(0, 5, 5)]);
        Tensor x = Noise.Fill(empty([6, 7], ScalarType.Float64, TestDevice.Current), 4, 1);
        Tensor expected = model.Second.call(model.First.call(x).add(x.matmul(delta.t())).tanh());
        var options = new WrapOptions { LayerKinds = [new FusedLinearKind(ModuleSelector.EndsWith("_first"), [true, false, true])] };
        using LoraModel<FieldModel> lora = Load(model, Config with { TargetModules = ModuleSelector.EndsWith("_first") }, options);
        Assert.IsType<LoraFusedLinear>(lora.Layers.Single().Layer);
        Adapted.AssertClose(expected, model.call(x));
    }

    [Theory]
    [InlineData(2, 1, 1, false)]
    [InlineData(3, 2, 1, false)]
    [InlineData(3, 1, 2, false)]
    [InlineData(3, 1, 1, true)]
    [InlineData(1, 1, 1, false)]
    public void A_convolution(long kernel, long stride, long dilation, bool isRankStabilized)
    {
        FieldModel model = Model(
            nn.Conv2d(4, 5, kernel, stride, kernel / 2, dilation, dtype: ScalarType.Float64, device: TestDevice.Current), nn.Conv2d(5, 3, 1, dtype: ScalarType.Float64, device: TestDevice.Current));
        var first = (Conv2d)model.First;
        Tensor product = Delta("_first", [Rank * kernel, 4 * kernel], [5 * kernel, Rank * kernel]);
        Tensor delta = product.view(first.weight.shape).mul(isRankStabilized ? Math.Sqrt(Rank) : 1);
        Tensor x = Noise.Fill(empty([2, 4, 8, 9], ScalarType.Float64, TestDevice.Current), 4, 1);
        Tensor expected;
        using (no_grad())
        {
            expected = model.Second.call(nn.functional.conv2d(
                x, first.weight.add(delta), first.bias, strides: [stride, stride], padding: [kernel / 2, kernel / 2], dilation: [dilation, dilation]).tanh());
        }
        using LoraModel<FieldModel> lora = Load(model, Config with { TargetModules = ModuleSelector.EndsWith("_first"), UseRankStabilizedScaling = isRankStabilized });
        Assert.Equal(
            kernel == 1 ? [] : [$"'_first' has a pair of rank 3 in loralib's form for a kernel of {kernel}, which is one of rank {3 * kernel * kernel} here, with the same update"],
            lora.LoadReport);
        Adapted.AssertClose(expected, model.call(x));
        using (no_grad())
        {
            lora.Merge();
            Adapted.AssertClose(expected, model.call(x));
            lora.Unmerge();
        }
        // It goes on as an adapter of PEFT's.
        lora.Save(_folder["peft"]);
        lora.Dispose();
        using var again = LoraModel.Load(model, _folder["peft"]);
        Adapted.AssertClose(expected, model.call(x));
    }

    [Fact]
    public void A_pointwise_convolution_of_one_dimension()
    {
        FieldModel model = Model(nn.Conv1d(4, 5, 1, dtype: ScalarType.Float64, device: TestDevice.Current), nn.Conv1d(5, 3, 1, dtype: ScalarType.Float64, device: TestDevice.Current));
        Tensor delta = Delta("_first", [Rank, 4], [5, Rank]);
        Tensor x = Noise.Fill(empty([2, 4, 6], ScalarType.Float64, TestDevice.Current), 4, 1);
        Tensor expected = model.Second.call(model.First.call(x).add(delta.matmul(x)).tanh());
        using LoraModel<FieldModel> lora = Load(model, Config with { TargetModules = ModuleSelector.EndsWith("_first") });
        Adapted.AssertClose(expected, model.call(x));
    }

    [Theory]
    [InlineData(LayerKind.Conv2dGrouped, "'_first' is a Conv2d in 2 groups, of which loralib's lora_B·lora_A, row by row, mixes up the channels: no pair of this library of a sensible rank computes it. Leave the layer out")]
    [InlineData(LayerKind.Conv2dRectangular, "'_first' is a Conv2d with a kernel of 3×2, and loralib's lora_B·lora_A has the size of a square kernel of two dimensions only: leave the layer out")]
    [InlineData(LayerKind.Conv1d, "'_first' is a Conv1d with a kernel of 3, and loralib's lora_B·lora_A has the size of a square kernel of two dimensions only: leave the layer out")]
    [InlineData(LayerKind.Conv2dWithoutBias, "tensor _first.lora_A has the shape [3, 7], but [6, 14] is needed", "tensor _first.lora_B has the shape [5, 3], but [10, 6] is needed")]
    public void Convolutions_that_have_no_pair_are_refused(LayerKind kind, params string[] problems)
    {
        FieldModel model = Model(kind.Make(7, 5), kind.Make(5, 3));
        Delta("_first", [Rank, 7], [5, Rank]);
        Assert.Equal(problems, Assert.Throws<AdapterFormatException>(() => Load(model, Config with { TargetModules = ModuleSelector.EndsWith("_first") })).Problems);
    }

    [Fact]
    public void Biases_are_read_where_the_configuration_has_them()
    {
        FieldModel model = Model(LayerKind.Linear.Make(7, 5), nn.Conv1d(5, 3, 1));
        Delta("_first", [Rank, 7], [5, Rank]);
        Delta("_second", [Rank, 5], [3, Rank]);
        Tensor first = Put("_first.bias", [5]), second = Put("_second.conv.bias", [3]);
        Assert.Equal(
            ["unexpected tensor _first.bias, shape [5]: the model has no adapted layer for it under this configuration", "unexpected tensor _second.conv.bias, shape [3]: the model has no adapted layer for it under this configuration"],
            Assert.Throws<AdapterFormatException>(() => Load(model)).Problems);
        using LoraModel<FieldModel> lora = Load(model, Config with { Bias = BiasKind.LoraOnly });
        Dictionary<string, Parameter> tensors = lora.AdapterTensors("default").ToDictionary();
        Adapted.AssertSame(first.to(ScalarType.Float32), tensors["base_model.model._first.base_layer.bias"]);
        Adapted.AssertSame(second.to(ScalarType.Float32), tensors["base_model.model._second.base_layer.bias"]);
    }

    [Fact]
    public void Everything_that_does_not_fit_is_named_as_loralib_names_it()
    {
        FieldModel model = Model(LayerKind.Linear.Make(7, 5), LayerKind.Linear.Make(5, 3));
        Put("_first.lora_A", [Rank + 1, 7]);
        Put("_second.lora_A", [Rank, 5]);
        Put("_second.lora_B", [3, Rank]);
        Put("_second.weight", [3, 5]);
        Put("_third.lora_A", [2, 2]);
        Put("_first.lora_B.weight", [5, Rank]);
        Assert.Equal(
            [
                "missing tensor _first.lora_B, shape [5, 3]",
                "tensor _first.lora_A has the shape [4, 7], but [3, 7] is needed",
                "unexpected tensor _first.lora_B.weight, shape [5, 3]: the model has no adapted layer for it under this configuration",
                "unexpected tensor _second.weight, shape [3, 5]: the model has no adapted layer for it under this configuration",
                "unexpected tensor _third.lora_A, shape [2, 2]: the model has no adapted layer for it under this configuration",
            ],
            Assert.Throws<AdapterFormatException>(() => Load(model)).Problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Prefixes_are_renamed()
    {
        FieldModel model = Model(LayerKind.Linear.Make(7, 5), LayerKind.Linear.Make(5, 3));
        Delta("model._first", [Rank, 7], [5, Rank]);
        Delta("model._second", [Rank, 5], [3, Rank]);
        Write();
        using var lora = LoraModel.Load(model, _folder["lora.safetensors"], loading: new LoadOptions { Format = AdapterFormat.LoraLib(Config), RenamedPrefixes = new Dictionary<string, string> { ["model"] = "" } });
        Assert.Equal(2, lora.Layers.Count);
        Assert.Equal(7.0 / 3, lora.Layers[0].Layer.Adapter.Scale, 12);
    }

    [Fact]
    public void Pickles_and_missing_files_are_refused()
    {
        FieldModel model = Model(LayerKind.Linear.Make(7, 5), LayerKind.Linear.Make(5, 3));
        var loading = new LoadOptions { Format = AdapterFormat.LoraLib(Config) };
        File.WriteAllText(_folder["lora.pt"], "");
        Assert.Equal(
            $"{_folder["lora.pt"]}: it is a pickle, whose reading can run code: load it with torch and save its tensors with safetensors.torch.save_file",
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(model, _folder["lora.pt"], loading: loading)).Message);
        Assert.Equal(
            $"There is no adapter file '{_folder["none.safetensors"]}'.",
            Assert.Throws<FileNotFoundException>(() => LoraModel.Load(model, _folder["none.safetensors"], loading: loading)).Message);
    }

    [Fact]
    public void It_is_not_written()
    {
        using LoraModel<FieldModel> lora = Adapted.Wrap(Model(LayerKind.Linear.Make(7, 5), LayerKind.Linear.Make(5, 3)));
        Assert.Equal(
            "Adapters are read in the form of loralib, not written: save adapter 'default' in PEFT's form.",
            Assert.Throws<NotSupportedException>(() => lora.SaveAdapter("default", _folder["x.safetensors"], AdapterFormat.LoraLib(Config))).Message);
    }

    private static LoraConfig Config { get; } = new() { Rank = Rank, Alpha = Alpha, TargetModules = ModuleSelector.EndsWith("_first", "_second") };

    private static FieldModel Model(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second) => new(first, second);

    private LoraModel<FieldModel> Load(FieldModel model, LoraConfig? config = null, WrapOptions? options = null)
    {
        Write();
        return LoraModel.Load(model, _folder["lora.safetensors"], options, new LoadOptions { Format = AdapterFormat.LoraLib(config ?? Config) });
    }

    private void Write() => SafetensorsWriter.Save(_folder["lora.safetensors"], _tensors);

    // lora_B·lora_A, scaled.
    private Tensor Delta(string layer, long[] a, long[] b)
    {
        Tensor down = Put($"{layer}.lora_A", a);
        return Put($"{layer}.lora_B", b).matmul(down).mul(Alpha / Rank);
    }

    private Tensor Put(string name, long[] shape) => _tensors[name] = Noise.Fill(empty(shape, ScalarType.Float64, TestDevice.Current), seed: 60 + _tensors.Count, range: 0.5);
}
