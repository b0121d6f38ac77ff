using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Defects;

/// <summary>What PEFT's files lose or pass over in silence.</summary>
public sealed class FileDefectTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("base_model.model._third.lora_A.weight")] // No such layer,
    [InlineData("base_model.model._first.lora_C.weight")] // no such tensor,
    [InlineData("base_model.model._first.weight")] // a base weight, which PEFT overwrites.
    public void Defect04_A_tensor_that_the_adapter_has_no_place_for_is_an_error(string key)
    {
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field))) lora.Save(_folder.Path);
        using (SafetensorsFile file = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName]))
            SafetensorsWriter.Save(_folder[AdapterFolder.WeightsName], file.Entries.Select(entry => KeyValuePair.Create(entry.Name, file.ReadTensor(entry.Name))).Append(KeyValuePair.Create(key, zeros(5, 7))), file.Metadata);
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        IReadOnlyList<(string, string)> before = Adapted.Weights(model);
        AdapterFormatException exception = Assert.Throws<AdapterFormatException>(() => LoraModel.Load(model, _folder.Path));
        Assert.StartsWith($"unexpected tensor {key}", Assert.Single(exception.Problems), StringComparison.Ordinal);
        Assert.Equal(before, Adapted.Weights(model));
    }

    [Fact]
    public void Defect15_Names_are_written_in_the_order_in_which_they_were_given()
    {
        string[] names = ["_second", "_first"];
        string Saved(string folder, params string[] targets)
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { TargetModules = ModuleSelector.EndsWith(targets) });
            lora.Save(_folder[folder]);
            return File.ReadAllText(Path.Combine(_folder[folder], PeftAdapterConfig.FileName));
        }
        string text = Saved("one", names);
        Assert.Equal(names, PeftAdapterConfig.Parse(text).Fields["target_modules"].EnumerateArray().Select(name => name.GetString()));
        Assert.Equal(text, Saved("two", names));
        Assert.Equal(names.Reverse(), PeftAdapterConfig.Parse(Saved("three", "_first", "_second")).Fields["target_modules"].EnumerateArray().Select(name => name.GetString()));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Defect16_The_inference_mode_is_written_as_it_was_set(bool mode)
    {
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(TestModels.Make(Holder.Field), Adapted.Config with { InferenceMode = mode })) lora.Save(_folder["one"]);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(TestModels.Make(Holder.Field), _folder["one"]);
        Assert.Equal(mode, loaded.Config.InferenceMode);
        loaded.Save(_folder["two"]);
        foreach (string folder in new[] { "one", "two" })
            Assert.Equal(mode, PeftAdapterConfig.Load(Path.Combine(_folder[folder], PeftAdapterConfig.FileName)).Fields["inference_mode"].GetBoolean());
    }
}
