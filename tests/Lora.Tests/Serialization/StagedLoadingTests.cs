using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

/// <summary>
/// Adapters that reach the model's device through a buffer are those that reach it tensor by tensor, and a file that is refused is refused alike. Alone, since tensors and memory are
/// counted for the whole process. Without LORA_TEST_DEVICE the "device" is the CPU.
/// </summary>
[Collection(Alone.Name)]
public sealed class StagedLoadingTests : IDisposable
{
    private static readonly LoadOptions _direct = new() { Transfer = new DirectTransfer() };
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    public static TheoryData<LayerKind> Kinds => [.. Enum.GetValues<LayerKind>()];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_kind_of_layer(LayerKind kind) => AssertSame(() => TestModels.Make(Holder.Field, kind), model => (kind.Config(model), kind.Options(model)), copies: 1);

    [Theory]
    [InlineData(Variant.RankStabilized)]
    [InlineData(Variant.LoraBias)]
    [InlineData(Variant.Patterns)]
    [InlineData(Variant.Dora)]
    [InlineData(Variant.Kasa)]
    public void Every_variant(Variant variant) => AssertSame(() => TestModels.Make(Holder.Field), model => (LayerKind.Linear.Config(model, variant), new WrapOptions()), copies: 1);

    [Theory]
    [InlineData(ScalarType.BFloat16, true)]
    [InlineData(ScalarType.BFloat16, false)]
    [InlineData(ScalarType.Float64, false)]
    public void A_model_of_another_type_than_the_file(ScalarType type, bool upcast)
    {
        Save(TestModels.Make(Holder.Field), Adapted.Config, new WrapOptions());
        AssertSameLoaded(() => TestModels.Make(Holder.Field, type: type), new WrapOptions { UpcastAdapters = upcast }, AdapterFormat.Peft, copies: 1);
    }

    [Fact]
    public void Copies_of_modules_with_buffers()
    {
        static FieldModel Model() => new(LayerKind.Linear.Make(TestModels.In, TestModels.Middle), nn.BatchNorm1d(TestModels.Middle, device: TestDevice.Current));
        LoraConfig config = Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["_second"], Bias = BiasKind.All };
        using (LoraModel<FieldModel> saved = Adapted.Wrap(Model(), config))
        {
            int seed = 60;
            foreach ((_, Parameter parameter) in saved.AdapterTensors("default")) Noise.Fill(parameter, seed++, 1);
            foreach ((_, Tensor buffer) in saved.StateBuffers()) Noise.Fill(buffer, seed++, 1).add_(9);
            saved.Save(_folder.Path);
        }
        // The count of a batch norm is a type of its own, and so has a copy of its own.
        AssertSameLoaded(Model, new WrapOptions(), AdapterFormat.Peft, copies: 2);
    }

    [Theory]
    [InlineData("mlx", LayerKind.Linear)]
    [InlineData("kohya", LayerKind.Linear)]
    [InlineData("kohya", LayerKind.Conv2dPointwise)]
    public void Files_of_other_forms(string form, LayerKind kind)
    {
        AdapterFormat format = form == "mlx" ? AdapterFormat.Mlx : AdapterFormat.Kohya("lora_unet", foldAlpha: true);
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
        using (LoraModel<nn.Module<Tensor, Tensor>> saved = Adapted.Wrap(model, kind.Config(model))) saved.SaveAdapter("default", _folder["saved"], format);
        AssertSameLoaded(() => TestModels.Make(Holder.Field, kind), new WrapOptions(), format, copies: 1);
    }

    [Fact]
    public void Convolutions_of_loralib()
    {
        SafetensorsWriter.Save(_folder["saved"], [new("_first.lora_A", Noise.Fill(empty([6, 14]), 1, 1)), new("_first.lora_B", Noise.Fill(empty([10, 6]), 2, 1))]);
        AdapterFormat format = AdapterFormat.LoraLib(new LoraConfig { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.EndsWith("_first") });
        AssertSameLoaded(() => TestModels.Make(Holder.Field, LayerKind.Conv2dWithoutBias), new WrapOptions(), format, copies: 1);
    }

    [Fact]
    public void A_layer_that_does_not_fit_is_left_out()
    {
        Save(TestModels.Make(Holder.Field), Adapted.Config, new WrapOptions());
        var transfer = new CountedTransfer();
        var model = new FieldModel(LayerKind.Linear.Make(7, 5), LayerKind.Linear.Make(5, 4));
        using LoraModel<FieldModel> lora = LoraModel.Load(model, _folder.Path, loading: new LoadOptions { IgnoreMismatchedShapes = true, Transfer = transfer });
        Assert.Equal([4 * ((2 * 7) + (5 * 2))], transfer.Copies);
        Assert.Equal(0, lora.Layers[1].Layer.Adapter.B.count_nonzero().item<long>());
    }

    [Fact]
    public void The_meta_device_takes_shapes_and_types()
    {
        Save(TestModels.Make(Holder.Field), Adapted.Config, new WrapOptions());
        var transfer = new CountedTransfer();
        var meta = new Device(DeviceType.META);
        var model = new FieldModel(nn.Linear(7, 5, device: meta), nn.Linear(5, 3, device: meta));
        using LoraModel<FieldModel> lora = LoraModel.Load(model, _folder.Path, loading: new LoadOptions { Transfer = transfer });
        Assert.Single(transfer.Copies);
        Assert.Equal(["2,7", "5,2", "2,5", "3,2"], lora.TrainableParameters().Select(parameter => string.Join(',', parameter.shape)));
        Assert.All(lora.TrainableParameters(), parameter => Assert.True(parameter.is_meta));
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("unexpected")]
    [InlineData("shape")]
    [InlineData("type")]
    [InlineData("infinite")]
    [InlineData("cut")]
    [InlineData("all")]
    public void A_file_that_is_refused_is_refused_alike(string damage)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Save(model, Adapted.Config, new WrapOptions());
        Damage(damage);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, options: new WrapOptions { AdapterName = "first" });
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        var transfer = new CountedTransfer();
        string expected = Assert.Throws<AdapterFormatException>(() => lora.LoadAdapter("second", _folder.Path, loading: _direct)).Message;
        string actual = Assert.Throws<AdapterFormatException>(() => lora.LoadAdapter("second", _folder.Path, loading: new LoadOptions { Transfer = transfer })).Message;
        Assert.Equal(expected, actual);
        Assert.Contains(_folder.Path, actual, StringComparison.Ordinal);
        Assert.Empty(transfer.Copies);
        Assert.Equal(["first"], lora.AdapterNames);
        Assert.Equal(before, Adapted.Weights(model));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void A_copy_that_fails_leaves_the_model_as_it_was(int failing)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Save(model, Adapted.Config, new WrapOptions());
        IReadOnlyList<(string, string)> plain = Adapted.Weights(model);
        // Tensors of 14, 10, 10 and 6 numbers.
        LoadOptions loading() => new() { Transfer = new CountedTransfer { BufferBytes = 64, FailingCopy = failing } };
        Leaks.AssertNone(5, () => Assert.Equal("The device does not answer.", Assert.Throws<IOException>(() => LoraModel.Load(model, _folder.Path, loading: loading())).Message));
        Assert.Equal(plain, Adapted.Weights(model));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, options: new WrapOptions { AdapterName = "first" });
        IReadOnlyList<(string, string)> adapted = Adapted.Weights(model);
        Leaks.AssertNone(5, () => Assert.Throws<IOException>(() => lora.LoadAdapter("second", _folder.Path, loading: loading())));
        Leaks.AssertNone(5, () => Assert.Throws<IOException>(() => lora.ReplaceAdapter("first", _folder.Path, loading())));
        Assert.Equal(["first"], lora.AdapterNames);
        Assert.Equal(["first"], lora.ActiveAdapters);
        Assert.Equal(adapted, Adapted.Weights(model));
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(64)]
    public void Nothing_is_left_behind(int bufferBytes)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        Save(model, Adapted.Config, new WrapOptions());
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, options: new WrapOptions { AdapterName = "first" });
        Leaks.AssertNone(20, () =>
        {
            lora.LoadAdapter("second", _folder.Path, loading: new LoadOptions { Transfer = new CountedTransfer { BufferBytes = bufferBytes } });
            lora.DeleteAdapter("second");
        });
    }

    [Fact]
    public void Only_the_buffer_and_its_place_on_the_device_come_on_top_of_the_adapter()
    {
        static FieldModel Model() => new(nn.Linear(700, 700), nn.Linear(700, 700));
        LoraConfig config = LoraConfig.AllLinear(rank: 48, alpha: 20);
        using (LoraModel<FieldModel> saved = Adapted.Wrap(Model(), config)) saved.Save(_folder.Path);
        const int buffer = 3 * 48 * 700 * 4;
        var transfer = new CountedTransfer { BufferBytes = buffer };
        FieldModel model = Model();
        long peak = AllocatedMemory.PeakOf(() => LoraModel.Load(model, _folder.Path, loading: new LoadOptions { Transfer = transfer }).Dispose());
        Assert.Equal([buffer, buffer / 3], transfer.Copies);
        const long adapter = 4 * 48 * 700 * 4;
        Assert.InRange(peak, adapter, adapter + (2 * buffer) + 4096);
    }

    private string Saved(AdapterFormat format) => format == AdapterFormat.Peft ? _folder.Path : _folder["saved"];

    private void AssertSame<TModel>(Func<TModel> make, Func<TModel, (LoraConfig Config, WrapOptions Options)> adapt, int copies)
        where TModel : nn.Module
    {
        TModel model = make();
        (LoraConfig config, WrapOptions options) = adapt(model);
        Save(model, config, options);
        AssertSameLoaded(make, adapt(make()).Options, AdapterFormat.Peft, copies);
    }

    private void AssertSameLoaded<TModel>(Func<TModel> make, WrapOptions options, AdapterFormat format, int copies)
        where TModel : nn.Module
    {
        TModel first = make(), second = make();
        var transfer = new CountedTransfer();
        using LoraModel<TModel> direct = LoraModel.Load(first, Saved(format), options, new LoadOptions { Format = format, Transfer = new DirectTransfer() });
        using LoraModel<TModel> staged = LoraModel.Load(second, Saved(format), options, new LoadOptions { Format = format, Transfer = transfer });
        Assert.Equal(copies, transfer.Copies.Count);
        Assert.Equal(direct.LoadReport, staged.LoadReport);
        IReadOnlyList<KeyValuePair<string, Parameter>> expected = direct.AdapterTensors("default"), actual = staged.AdapterTensors("default");
        Assert.Equal(expected.Select(tensor => tensor.Key), actual.Select(tensor => tensor.Key));
        foreach ((KeyValuePair<string, Parameter> one, KeyValuePair<string, Parameter> other) in expected.Zip(actual))
        {
            Adapted.AssertSame(one.Value, other.Value);
            Assert.NotEqual(0, other.Value.count_nonzero().item<long>());
        }
        foreach ((KeyValuePair<string, Tensor> one, KeyValuePair<string, Tensor> other) in direct.StateBuffers().Zip(staged.StateBuffers()))
        {
            Adapted.AssertSame(one.Value, other.Value);
            if (other.Key.StartsWith("part.", StringComparison.Ordinal)) Assert.NotEqual(0, other.Value.count_nonzero().item<long>());
        }
        Assert.Equal(Adapted.Weights(first), Adapted.Weights(second));
    }

    private void Save<TModel>(TModel model, LoraConfig config, WrapOptions options)
        where TModel : nn.Module
    {
        using LoraModel<TModel> saved = Adapted.Wrap(model, config, options);
        saved.Save(_folder.Path);
    }

    private void Damage(string damage)
    {
        string path = _folder["adapter_model.safetensors"];
        if (damage == "cut")
        {
            File.WriteAllBytes(path, File.ReadAllBytes(path)[..^5]);
            return;
        }
        const string a = "base_model.model._first.lora_A.weight", b = "base_model.model._second.lora_B.weight";
        Dictionary<string, Tensor> tensors;
        using (SafetensorsFile file = SafetensorsFile.Open(path)) tensors = file.Entries.ToDictionary(entry => entry.Name, entry => file.ReadTensor(entry.Name));
        if (damage is "missing" or "all") tensors.Remove(a);
        if (damage is "unexpected" or "all") tensors["base_model.model._third.lora_A.weight"] = ones(2, 3);
        if (damage == "shape") tensors[a] = ones(3, 7);
        if (damage is "type" or "all") tensors["base_model.model._second.lora_A.weight"] = ones([2, 5], ScalarType.Int32);
        if (damage is "infinite" or "all") tensors[b] = tensors[b].div(0);
        SafetensorsWriter.Save(path, tensors);
    }
}
