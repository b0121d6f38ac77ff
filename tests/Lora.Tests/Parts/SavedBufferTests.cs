using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>Full copies of modules with buffers: the running statistics of a batch norm are the adapter's own and travel with it.</summary>
public sealed class SavedBufferTests : IDisposable
{
    private static readonly LoraConfig _config = new() { Rank = 2, Alpha = 3, TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["_second"] };

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void Training_moves_the_adapters_statistics_and_leaves_the_base_alone()
    {
        FieldModel model = Model();
        Tensor input = TestModels.Input(), before = Evaluated(model, input);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model), buffers = Buffers(model);
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, _config);
        Adapted.AssertSame(before, Evaluated(model, input));
        Train(lora, input);
        Tensor trained = Evaluated(model, input);
        IReadOnlyList<(string Name, string Bits)> own = Buffers(model);
        Assert.All(own.Zip(buffers), pair => Assert.NotEqual(pair.First, pair.Second));
        using (lora.Disable())
        {
            Adapted.AssertSame(before, Evaluated(model, input));
            Assert.Equal(buffers, Buffers(model));
        }
        Assert.Equal(own, Buffers(model));
        Adapted.AssertSame(trained, Evaluated(model, input));
        model.to(ScalarType.Float64);
        using (lora.Disable()) Assert.Equal(ScalarType.Float64, ((BatchNorm1d)model.Second).running_mean.dtype);
        Assert.Equal([ScalarType.Float64, ScalarType.Float64, ScalarType.Int64], model.Second.named_buffers().Select(b => b.buffer.dtype));
        model.to(ScalarType.Float32);
        lora.Unload();
        Assert.Equal(weights, Adapted.Weights(model));
        Adapted.AssertSame(before, Evaluated(model, input));
    }

    [Fact]
    public void They_are_saved_loaded_and_kept_when_the_adapter_is_merged()
    {
        FieldModel model = Model(), other = Model();
        Tensor input = TestModels.Input();
        LoraModel<FieldModel> lora = LoraModel.Wrap(model, _config);
        Train(lora, input);
        Tensor trained = Evaluated(model, input);
        lora.Save(_folder.Path);
        using (SafetensorsFile file = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName]))
        {
            Assert.Equal(
                ["bias F32 [5]", "num_batches_tracked I64 []", "running_mean F32 [5]", "running_var F32 [5]", "weight F32 [5]"],
                file.Entries.Select(entry => entry.ToString()).Where(entry => entry.Contains("_second", StringComparison.Ordinal)).Select(entry => entry.Replace("base_model.model._second.", "", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        }
        Assert.Equal(new ParameterCounts((2 * (7 + 5)) + 10, (7 * 5) + 5 + 10 + (2 * (7 + 5)) + 10), lora.ParameterCounts);
        Assert.DoesNotContain(lora.AdapterTensors("default"), tensor => tensor.Key.Contains("running", StringComparison.Ordinal));
        using LoraModel<FieldModel> loaded = LoraModel.Load(other, _folder.Path);
        Assert.Empty(loaded.LoadReport);
        Adapted.AssertSame(trained, Evaluated(other, input));
        lora.MergeAndUnload();
        Adapted.AssertClose(trained, Evaluated(model, input));
        Assert.Equal(Buffers(other), Buffers(model));
    }

    [Fact]
    public void A_file_must_have_them_in_their_types()
    {
        using (LoraModel<FieldModel> lora = LoraModel.Wrap(Model(), _config)) lora.Save(_folder.Path);
        using (SafetensorsFile file = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName]))
        {
            SafetensorsWriter.Save(_folder[AdapterFolder.WeightsName], file.Entries.Where(entry => !entry.Name.EndsWith("running_mean", StringComparison.Ordinal)).Select(entry => KeyValuePair.Create(
                entry.Name, entry.Name.EndsWith("num_batches_tracked", StringComparison.Ordinal) ? tensor(1.5f) : file.ReadTensor(entry.Name))));
        }
        Assert.Equal(
            [
                "tensor base_model.model._second.num_batches_tracked has the type F32, but Int64 is needed",
                "missing tensor base_model.model._second.running_mean, shape [5], which modules_to_save asks for",
            ],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(Model(), _folder.Path)).Problems);
    }

    [Fact]
    public void Two_adapters_have_their_own_and_are_not_active_together()
    {
        FieldModel model = Model();
        Tensor input = TestModels.Input();
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, _config);
        lora.AddAdapter("other", _config);
        Train(lora, input);
        IReadOnlyList<(string, string)> first = Buffers(model);
        lora.SetActive("other");
        Assert.NotEqual(first, Buffers(model));
        lora.SetActive("default");
        Assert.Equal(first, Buffers(model));
        Assert.Contains("_second.weight", Assert.Throws<InvalidOperationException>(() => lora.SetActive("default", "other")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void One_that_no_field_holds_is_refused() => Assert.Contains(
        "modules_to_save asks for the buffer '_second.mask', of which no copy can be put in its place, since no field of Masked holds it",
        Assert.Throws<ArgumentException>(() => LoraModel.Wrap(new FieldModel(nn.Linear(7, 5, device: TestDevice.Current), new Masked()), _config)).Message,
        StringComparison.Ordinal);

    [Fact]
    public void They_leave_nothing_behind()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (NewDisposeScope())
        {
            FieldModel model = Model();
            LoraModel<FieldModel> lora = LoraModel.Wrap(model, _config);
            Train(lora, TestModels.Input());
            using (lora.Disable()) Evaluated(model, TestModels.Input());
            lora.Unload();
            model.Dispose();
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static FieldModel Model() => new(LayerKind.Linear.Make(TestModels.In, TestModels.Middle), nn.BatchNorm1d(TestModels.Middle, device: TestDevice.Current));

    private static Tensor Evaluated(FieldModel model, Tensor input)
    {
        model.eval();
        using var noGrad = no_grad();
        return model.call(input);
    }

    private static void Train(LoraModel<FieldModel> lora, Tensor input)
    {
        lora.Model.train();
        using var optimizer = optim.SGD(lora.TrainableParameters(), 0.1);
        for (int step = 0; step < 3; step++)
        {
            optimizer.zero_grad();
            lora.Model.call(input).square().sum().backward();
            optimizer.step();
        }
    }

    private static IReadOnlyList<(string Name, string Bits)> Buffers(FieldModel model) =>
        [.. model.Second.named_buffers().Select(buffer => (buffer.name, Convert.ToHexString(Adapted.Bits(buffer.buffer))))];

    private sealed class Masked : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter _gain;

        public Masked()
            : base(nameof(Masked))
        {
            _gain = new Parameter(ones([5], device: TestDevice.Current));
            _gain.DetachFromDisposeScope();
            RegisterComponents();
            register_buffer("mask", ones([5], device: TestDevice.Current).DetachFromDisposeScope());
        }

        public override Tensor forward(Tensor input) => input.mul(_gain).mul(get_buffer("mask"));
    }
}
