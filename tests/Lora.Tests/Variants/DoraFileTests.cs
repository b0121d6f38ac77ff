using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>The magnitude goes with use_dora, in both directions, and one without the other is an error that names the key.</summary>
public sealed class DoraFileTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void Settings_and_file_say_the_same()
    {
        LoraConfig config = Adapted.Config with { UseDora = true };
        PeftAdapterConfig file = PeftAdapterConfig.From(config);
        Assert.True(file.Fields["use_dora"].GetBoolean());
        Assert.Equal(config, file.ToLoraConfig());
        Assert.False(file.With(config with { UseDora = false }).ToLoraConfig().UseDora);
    }

    [Fact]
    public void Use_dora_without_a_magnitude_is_refused()
    {
        Save(dora: false);
        Edit("\"use_dora\": false", "\"use_dora\": true");
        Assert.Equal(
            [
                "missing tensor base_model.model._first.lora_magnitude_vector, shape [5], which use_dora asks for",
                "missing tensor base_model.model._second.lora_magnitude_vector, shape [3], which use_dora asks for",
            ],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path)).Problems);
    }

    [Fact]
    public void A_magnitude_without_use_dora_is_refused()
    {
        Save(dora: true);
        Edit("\"use_dora\": true", "\"use_dora\": false");
        Assert.Equal(
            [
                "unexpected tensor base_model.model._first.lora_magnitude_vector, shape [5]: it belongs to DoRA, which the configuration does not ask for; set use_dora to true if it was trained so",
                "unexpected tensor base_model.model._second.lora_magnitude_vector, shape [3]: it belongs to DoRA, which the configuration does not ask for; set use_dora to true if it was trained so",
            ],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path)).Problems);
    }

    [Theory]
    [InlineData(".default")]
    [InlineData(".default.weight")]
    public void A_key_that_still_holds_the_adapters_name_is_reported(string suffix)
    {
        Tensor saved = Save(dora: true);
        string path = Path.Combine(_folder.Path, AdapterFolder.WeightsName);
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            KeyValuePair<string, Tensor>[] tensors = [.. file.Entries.Select(entry => KeyValuePair.Create(entry.Name.EndsWith(DoraVariant.MagnitudeName, StringComparison.Ordinal) ? entry.Name + suffix : entry.Name, file.ReadTensor(entry.Name)))];
            SafetensorsWriter.Save(_folder["renamed"], tensors, file.Metadata);
        }
        File.Move(_folder["renamed"], path, overwrite: true);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path);
        Assert.Equal([$"the keys of adapter_model.safetensors still hold the name of an adapter, as base_model.model._first.lora_magnitude_vector{suffix} does"], lora.LoadReport);
        Adapted.AssertSame(saved, lora.Model.call(TestModels.Input()));
    }

    [Fact]
    public void A_file_with_lora_bias_or_parameters_is_refused()
    {
        Assert.Equal(
            ["lora_bias is true, which does not go with use_dora: a magnitude cannot rescale a bias."],
            Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse("""{"peft_type":"LORA","target_modules":["q"],"use_dora":true,"lora_bias":true}""").ToLoraConfig()).Problems);
        Assert.Equal(
            [
                "use_dora must be true or false, but is \"yes\".",
            ],
            Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse("""{"peft_type":"LORA","target_modules":["q"],"use_dora":"yes"}""").ToLoraConfig()).Problems);
        Assert.Equal(
            ["use_dora is true, which does not go with target_parameters: a parameter alone has no output that a magnitude could rescale."],
            Assert.Throws<AdapterFormatException>(() => PeftAdapterConfig.Parse("""{"peft_type":"LORA","target_parameters":["w"],"use_dora":true}""").ToLoraConfig()).Problems);
    }

    [Fact]
    public void Forms_without_a_place_for_the_magnitude_are_not_written()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { UseDora = true });
        foreach (AdapterFormat format in new[] { AdapterFormat.Kohya("lora_unet"), AdapterFormat.Diffusers() })
        {
            Assert.Equal(
                $"Adapter 'default' cannot be saved in the form of {format}:\n  - use_dora is set, and there is no place for lora_magnitude_vector\nSave it in PEFT's form, which carries everything.",
                Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x.safetensors"], format)).Message);
        }
        Assert.False(File.Exists(_folder["x.safetensors"]));
    }

    [Fact]
    public void A_half_precision_adapter_is_saved_and_loaded_in_its_type()
    {
        var options = new WrapOptions { UpcastAdapters = false };
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, type: ScalarType.BFloat16);
        Tensor saved;
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Adapted.Config with { UseDora = true }, options))
        {
            Assert.All(lora.TrainableParameters(), parameter => Assert.Equal(ScalarType.BFloat16, parameter.dtype));
            saved = model.call(TestModels.Input(3, ScalarType.BFloat16));
            lora.Save(_folder.Path);
        }
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(TestModels.Make(Holder.Field, type: ScalarType.BFloat16), _folder.Path, options);
        Adapted.AssertSame(saved, loaded.Model.call(TestModels.Input(3, ScalarType.BFloat16)));
    }

    [Fact]
    public void The_adapter_of_another_kind_takes_the_place_under_a_running_model()
    {
        Tensor saved = Save(dora: true);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        Tensor before = lora.Model.call(TestModels.Input());
        lora.SaveAdapter("default", _folder["plain"]);
        lora.ReplaceAdapter("default", _folder.Path);
        Adapted.AssertSame(saved, lora.Model.call(TestModels.Input()));
        lora.ReplaceAdapter("default", _folder["plain"]);
        Adapted.AssertSame(before, lora.Model.call(TestModels.Input()));

        lora.AddAdapter("merged", Adapted.Config);
        lora.SetActive("default", "merged");
        lora.Merge(new MergeOptions { Adapters = ["merged"] });
        Assert.Equal(
            "Adapter 'default' rescales the base weight (DoRA), which would hold 'merged' as well: merge or unmerge both together.",
            Assert.Throws<InvalidOperationException>(() => lora.ReplaceAdapter("default", _folder.Path)).Message);
        Assert.All(lora.Layers, layer => Assert.Null(layer.Layer.Adapters["default"].Variant));
        lora.Unmerge();
        Adapted.AssertSame(before, lora.Model.call(TestModels.Input()));
    }

    // Returns what the saved adapter computes.
    private Tensor Save(bool dora)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Adapted.Config with { UseDora = dora });
        lora.Save(_folder.Path);
        return model.call(TestModels.Input());
    }

    private void Edit(string text, string other)
    {
        string path = _folder[PeftAdapterConfig.FileName];
        Assert.Contains(text, File.ReadAllText(path), StringComparison.Ordinal);
        File.WriteAllText(path, File.ReadAllText(path).Replace(text, other, StringComparison.Ordinal));
    }
}
