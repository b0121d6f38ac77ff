using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization.Formats;

/// <summary>Reading and writing files of other forms keeps no tensor alive, whether it succeeds or not.</summary>
[Collection(Alone.Name)]
public sealed class FormatLeakTests
{
    public static TheoryData<string> Formats => ["kohya", "diffusers"];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Saving_and_loading(string name)
    {
        AdapterFormat format = name == "kohya" ? AdapterFormat.Kohya("lora_unet", foldAlpha: true) : AdapterFormat.Diffusers();
        using var folder = new TemporaryFolder();
        using nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model)) lora.SaveAdapter("default", folder["x.safetensors"], format);
        Leaks.AssertNone(20, () =>
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(model, folder["x.safetensors"], loading: new LoadOptions { Format = format });
            lora.SaveAdapter("default", folder["x.safetensors"], format);
        });
        using nn.Module<Tensor, Tensor> other = TestModels.Make(Holder.Nested);
        Leaks.AssertNone(10, () => Assert.Throws<AdapterFormatException>(() => LoraModel.Load(other, folder["x.safetensors"], loading: new LoadOptions { Format = format })));
    }

    [Fact]
    public void Loading_convolutions_of_loralib()
    {
        using var folder = new TemporaryFolder();
        using (NewDisposeScope())
            SafetensorsWriter.Save(folder["x.safetensors"], [new("_first.lora_A", Noise.Fill(empty([6, 14]), 1, 1)), new("_first.lora_B", Noise.Fill(empty([10, 6]), 2, 1))]);
        using nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Conv2dWithoutBias);
        var loading = new LoadOptions { Format = AdapterFormat.LoraLib(new LoraConfig { Rank = 3, TargetModules = ModuleSelector.EndsWith("_first") }) };
        Leaks.AssertNone(20, () => LoraModel.Load(model, folder["x.safetensors"], loading: loading).Dispose());
        Leaks.AssertNone(10, () => Assert.Throws<AdapterFormatException>(() => LoraModel.Load(model, folder["x.safetensors"], loading: new LoadOptions
        {
            Format = AdapterFormat.LoraLib(new LoraConfig { Rank = 3, TargetModules = ModuleSelector.EndsWith("_first", "_second") }),
        })));
    }

    [Fact]
    public void Ignoring_shapes()
    {
        using var folder = new TemporaryFolder();
        using (nn.Module<Tensor, Tensor> narrow = TestModels.Make(Holder.Field))
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(narrow)) lora.Save(folder.Path);
        using var model = new FieldModel(LayerKind.Linear.Make(7, 5), LayerKind.Linear.Make(5, 4));
        Leaks.AssertNone(20, () => LoraModel.Load(model, folder.Path, loading: new LoadOptions { IgnoreMismatchedShapes = true }).Dispose());
    }
}
