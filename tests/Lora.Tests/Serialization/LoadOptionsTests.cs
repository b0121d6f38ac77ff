using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

/// <summary>What may differ between a file and a model when that is asked for, and what may not even then.</summary>
public sealed class LoadOptionsTests : IDisposable
{
    private static readonly LoadOptions _ignore = new() { IgnoreMismatchedShapes = true };
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void A_layer_of_another_shape_stays_fresh_and_is_named()
    {
        Save(TestModels.Make(Holder.Field));
        FieldModel model = Wider();
        Tensor plain = model.Second.call(Noise.Fill(empty([4, 5], device: TestDevice.Current), 3, 1));
        using var lora = LoraModel.Load(model, _folder.Path, loading: _ignore);
        Assert.Equal(["tensor base_model.model._second.lora_B.weight has the shape [3, 2], but [4, 2] is needed; '_second' keeps a fresh adapter, which adds nothing"], lora.LoadReport);
        LoraAdapter first = lora.Layers[0].Layer.Adapter, second = lora.Layers[1].Layer.Adapter;
        using SafetensorsFile file = SafetensorsFile.Open(_folder["adapter_model.safetensors"]);
        Adapted.AssertSame(file.ReadTensor("base_model.model._first.lora_A.weight", TestDevice.Current), first.A);
        Adapted.AssertSame(file.ReadTensor("base_model.model._first.lora_B.weight", TestDevice.Current), first.B);
        Assert.Equal(0, second.B.count_nonzero().item<long>());
        // A fits, but without its B it would be noise.
        Assert.NotEqual(Adapted.Bits(file.ReadTensor("base_model.model._second.lora_A.weight")), Adapted.Bits(second.A));
        Assert.True(second.A.abs().max().item<float>() <= 1 / Math.Sqrt(5));
        Adapted.AssertSame(plain, model.Second.call(Noise.Fill(empty([4, 5], device: TestDevice.Current), 3, 1)));
        Assert.All(lora.TrainableParameters(), parameter => Assert.True(parameter.requires_grad));
        Assert.Equal(4, lora.TrainableParameters().Count);
    }

    [Fact]
    public void Without_being_asked_for_it_is_refused()
    {
        Save(TestModels.Make(Holder.Field));
        Assert.Equal(
            ["tensor base_model.model._second.lora_B.weight has the shape [3, 2], but [4, 2] is needed"],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(Wider(), _folder.Path)).Problems);
    }

    [Fact]
    public void A_file_of_which_nothing_fits_is_refused()
    {
        Save(TestModels.Make(Holder.Field));
        PeftAdapterConfig.Load(_folder["adapter_config.json"]).With(Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first", "_second"), Rank = 3 }).Save(_folder["adapter_config.json"]);
        Assert.Equal(
            [
                "tensor base_model.model._first.lora_A.weight has the shape [2, 7], but [3, 7] is needed",
                "tensor base_model.model._first.lora_B.weight has the shape [5, 2], but [5, 3] is needed",
                "tensor base_model.model._second.lora_A.weight has the shape [2, 5], but [3, 5] is needed",
                "tensor base_model.model._second.lora_B.weight has the shape [3, 2], but [3, 3] is needed",
            ],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path, loading: _ignore)).Problems);
    }

    [Fact]
    public void A_missing_tensor_is_refused_all_the_same()
    {
        Save(TestModels.Make(Holder.Field));
        Rewrite(tensors => tensors.Remove("base_model.model._first.lora_A.weight"));
        Assert.Equal(
            ["missing tensor base_model.model._first.lora_A.weight, shape [2, 7]"],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(Wider(), _folder.Path, loading: _ignore)).Problems);
    }

    [Fact]
    public void A_full_copy_of_another_shape_leaves_the_models_own()
    {
        LoraConfig config = Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["_second"] };
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field), config)) lora.Save(_folder.Path);
        FieldModel model = Wider();
        string before = Convert.ToHexString(Adapted.Bits(((Linear)model.Second).weight!));
        using var loaded = LoraModel.Load(model, _folder.Path, loading: _ignore);
        Assert.Equal(
            [
                "tensor base_model.model._second.bias has the shape [3], but [4] is needed; the model's own values stay in its place",
                "tensor base_model.model._second.weight has the shape [3, 5], but [4, 5] is needed; the model's own values stay in its place",
            ],
            loaded.LoadReport.Order());
        Assert.Equal(before, Convert.ToHexString(Adapted.Bits(((Linear)model.Second).weight!)));
    }

    [Fact]
    public void A_further_adapter_may_be_read_so_too()
    {
        Save(TestModels.Make(Holder.Field));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap((nn.Module<Tensor, Tensor>)Wider());
        Assert.Single(lora.LoadAdapter("other", _folder.Path, loading: _ignore));
        Assert.Single(lora.ReplaceAdapter("other", _folder.Path, _ignore));
        Assert.Equal(0, lora.Layers[1].Layer.Adapters["other"].B.count_nonzero().item<long>());
    }

    [Theory]
    [InlineData("_inner", "")]
    [InlineData("_inner.", "")]
    public void A_prefix_is_taken_away(string from, string to)
    {
        nn.Module<Tensor, Tensor> nested = TestModels.Make(Holder.Nested);
        Tensor expected = Save(nested, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_inner._first", "_second"), RankPattern = new Dictionary<string, int> { ["^_inner._second"] = 3 } });
        using var lora = LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path, loading: Renaming((from, to)));
        Assert.Empty(lora.LoadReport);
        Adapted.AssertSame(expected, lora.Model.call(TestModels.Input()));
        Assert.Equal(ModuleSelector.EndsWith("_first", "_second"), lora.ConfigOf("default").TargetModules);
        lora.Save(_folder["again"]);
        using var again = LoraModel.Load(TestModels.Make(Holder.Field), _folder["again"]);
        Adapted.AssertSame(expected, again.Model.call(TestModels.Input()));
    }

    [Fact]
    public void A_prefix_is_put_in_front()
    {
        Tensor expected = Save(TestModels.Make(Holder.Field));
        using var lora = LoraModel.Load(TestModels.Make(Holder.Nested), _folder.Path, loading: Renaming(("", "_inner")));
        Adapted.AssertSame(expected, lora.Model.call(TestModels.Input()));
    }

    [Fact]
    public void The_first_prefix_that_fits_decides()
    {
        Save(TestModels.Make(Holder.Nested));
        Assert.Equal(
            ["RenamedPrefixes has '_inner._first', from which no tensor takes its new name; the file has _inner._first.lora_A.weight, _inner._first.lora_B.weight, _inner._second.lora_A.weight and 1 more"],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path, loading: Renaming(("_inner", ""), ("_inner._first", "_second")))).Problems);
    }

    [Fact]
    public void Part_of_a_name_is_no_prefix()
    {
        Save(TestModels.Make(Holder.Field));
        Assert.StartsWith(
            "RenamedPrefixes has '_fir', from which no tensor takes its new name; the file has",
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path, loading: Renaming(("_fir", "x")))).Problems[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Two_tensors_of_one_name_are_refused()
    {
        Save(TestModels.Make(Holder.Field));
        Rewrite(tensors =>
        {
            foreach (string key in tensors.Keys.ToList()) tensors[key.Replace("model._", "model.old._", StringComparison.Ordinal)] = tensors[key];
        });
        Assert.Equal(
            [
                "tensor base_model.model._first.lora_A.weight is there twice, as base_model.model._first.lora_A.weight and as base_model.model.old._first.lora_A.weight",
                "tensor base_model.model._first.lora_B.weight is there twice, as base_model.model._first.lora_B.weight and as base_model.model.old._first.lora_B.weight",
                "tensor base_model.model._second.lora_A.weight is there twice, as base_model.model._second.lora_A.weight and as base_model.model.old._second.lora_A.weight",
                "tensor base_model.model._second.lora_B.weight is there twice, as base_model.model._second.lora_B.weight and as base_model.model.old._second.lora_B.weight",
            ],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path, loading: Renaming(("old", "")))).Problems);
    }

    [Fact]
    public void Options_are_equal_by_value()
    {
        Assert.Equal(Renaming(("a", "b"), ("c", "")), Renaming(("a.", "b."), ("c", "")));
        Assert.NotEqual(Renaming(("a", "b"), ("c", "")), Renaming(("c", ""), ("a", "b")));
        Assert.NotEqual(new LoadOptions(), _ignore);
        Assert.NotEqual(new LoadOptions(), new LoadOptions { Format = AdapterFormat.Diffusers() });
    }

    private static LoadOptions Renaming(params (string From, string To)[] prefixes) => new() { RenamedPrefixes = prefixes.ToDictionary(prefix => prefix.From, prefix => prefix.To) };

    // With one more output.
    private static FieldModel Wider() => new(LayerKind.Linear.Make(7, 5, seed: 10), LayerKind.Linear.Make(5, 4, seed: 20));

    private Tensor Save(nn.Module<Tensor, Tensor> model, LoraConfig? config = null)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, config);
        lora.Save(_folder.Path);
        return model.call(TestModels.Input());
    }

    private void Rewrite(Action<Dictionary<string, Tensor>> change)
    {
        Dictionary<string, Tensor> tensors;
        using (SafetensorsFile file = SafetensorsFile.Open(_folder["adapter_model.safetensors"])) tensors = file.Entries.ToDictionary(entry => entry.Name, entry => file.ReadTensor(entry.Name));
        change(tensors);
        SafetensorsWriter.Save(_folder["adapter_model.safetensors"], tensors);
    }
}
