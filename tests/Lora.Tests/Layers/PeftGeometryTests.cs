using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>
/// PEFT leaves a convolution's dilation and padding mode out of lora_A (the map's defect 7). Adapters of ours have them, and their files a mark; files without it mean what PEFT makes of them.
/// </summary>
public sealed class PeftGeometryTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _ours = new();
    private readonly TemporaryFolder _pefts = new();

    public static TheoryData<LayerKind> Kinds => [LayerKind.Conv1dReplicated, LayerKind.Conv2dCircular, LayerKind.Conv2dSame];

    public void Dispose()
    {
        _ours.Dispose();
        _pefts.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_file_without_the_mark_is_computed_as_in_PEFT(LayerKind kind)
    {
        Tensor input = kind.Input(3, ScalarType.Float64);
        nn.Module<Tensor, Tensor> model = Save(kind);
        Tensor ours = model.call(input);

        nn.Module<Tensor, Tensor> other = new FieldModel(kind.Make(7, 5, ScalarType.Float64, seed: 10), kind.Make(5, 3, ScalarType.Float64, seed: 20));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(other, _pefts.Path);
        Assert.Equal(
            [.. new[] { "_first", "_second" }.Select(path => $"'{path}' has a dilation or a padding mode, which PEFT, where the adapter was made, leaves out of lora_A; it is computed so, and cannot be merged exactly")],
            lora.LoadReport);
        Tensor pefts = other.call(input);
        Assert.True(Adapted.Difference(ours, pefts) > 1e-2);
        var first = (Convolution)lora.Layers[0].Layer.BaseLayer;
        Tensor x = kind.Input(3, ScalarType.Float64);
        Adapted.AssertRelativelyClose(first.call(x).add(AsPeft(first, lora.Layers[0].Layer.Adapter, x)), ((nn.Module<Tensor, Tensor>)lora.Layers[0].Layer).call(x));

        // Saved again it is PEFT's file still, to the byte.
        using var again = new TemporaryFolder();
        lora.Save(again.Path);
        Assert.Equal(File.ReadAllBytes(_pefts[AdapterFolder.WeightsName]), File.ReadAllBytes(again[AdapterFolder.WeightsName]));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void It_is_merged_on_demand_only(LayerKind kind)
    {
        Tensor input = kind.Input(3, ScalarType.Float64);
        nn.Module<Tensor, Tensor> model = Save(kind);
        Tensor ours = model.call(input);
        nn.Module<Tensor, Tensor> other = new FieldModel(kind.Make(7, 5, ScalarType.Float64, seed: 10), kind.Make(5, 3, ScalarType.Float64, seed: 20));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(other, _pefts.Path);
        Tensor pefts = other.call(input);
        const string Why = "has a dilation or a padding mode, which PEFT, where the adapter was made, leaves out of lora_A, so that no weight of this layer computes what the adapter does: keep it unmerged, or set MergeOptions.PeftCompatible for the other result that PEFT has after merging";
        Assert.Equal(
            $"Nothing was merged, since merging would change what the model computes:\n  - adapter 'default': '_first' {Why}\n  - adapter 'default': '_second' {Why}",
            Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        Assert.Throws<InvalidOperationException>(() => lora.MergeAndUnload());
        Assert.Equal(
            $"Adapter 'default' cannot be merged: this layer {Why}. Nothing was merged.",
            Assert.Throws<InvalidOperationException>(() => lora.Layers[0].Layer.Adapters.Merge()).Message);
        Assert.False(lora.IsMerged);
        Adapted.AssertSame(pefts, other.call(input));
        // PEFT's merged model computes what the same A and B are here without merging.
        lora.Merge(new MergeOptions { PeftCompatible = true });
        Adapted.AssertRelativelyClose(ours, other.call(input));
        lora.Unmerge();
        Adapted.AssertRelativelyClose(pefts, other.call(input));
    }

    [Fact]
    public void A_dilation_with_which_PEFT_fails_as_well_is_named()
    {
        nn.Module<Tensor, Tensor> model = Save(LayerKind.Conv2dDilated);
        nn.Module<Tensor, Tensor> other = new FieldModel(LayerKind.Conv2dDilated.Make(7, 5, ScalarType.Float64), LayerKind.Conv2dDilated.Make(5, 3, ScalarType.Float64));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(other, _pefts.Path);
        Assert.Equal(
            "Adapter 'default' was made by PEFT, which leaves the dilation of a convolution out of lora_A: for this input it gives 7×6 places where the layer gives 5×4, and PEFT fails as well. Train a new adapter, or leave the layer out of the targets.",
            Assert.Throws<InvalidOperationException>(() => other.call(LayerKind.Conv2dDilated.Input(3, ScalarType.Float64))).Message);
        model.Dispose();
    }

    [Fact]
    public void Only_files_that_PEFT_computes_otherwise_bear_the_mark()
    {
        using var folder = new TemporaryFolder();
        void Check(Convolution layer, bool marked)
        {
            using var model = new FieldModel(layer, nn.Conv2d(4, 2, 1, device: TestDevice.Current));
            using LoraModel<FieldModel> lora = Adapted.Wrap(model, Adapted.Config with { TargetModules = ModuleSelector.EndsWith("_first") });
            lora.Save(folder.Path);
            using SafetensorsFile file = SafetensorsFile.Open(folder[AdapterFolder.WeightsName]);
            Assert.Equal(marked ? [new("format", "pt"), new("lora_conv_geometry", "base_layer")] : [new KeyValuePair<string, string>("format", "pt")], file.Metadata.Order(Comparer<KeyValuePair<string, string>>.Create((a, b) => string.CompareOrdinal(a.Key, b.Key))));
        }
        Device device = TestDevice.Current;
        Check(nn.Conv2d(4, 4, 3, stride: 2, padding: 1, device: device), false);
        Check(nn.Conv2d(4, 4, 1, dilation: 3, device: device), false);
        Check(nn.Conv2d(4, 4, 3, padding_mode: PaddingModes.Reflect, device: device), false);
        Check(nn.Conv2d(4, 4, 3, padding: Padding.Valid, padding_mode: PaddingModes.Reflect, device: device), false);
        Check(nn.Conv2d(4, 4, 3, dilation: 2, device: device), true);
        Check(nn.Conv2d(4, 4, (1, 3), (1, 1), (0, 1), (1, 1), PaddingModes.Replicate, device: device), true);
        Check(nn.Conv2d(4, 4, 3, padding: Padding.Same, padding_mode: PaddingModes.Circular, device: device), true);
    }

    // The same adapter twice: as ours, and as PEFT's, without the mark.
    private nn.Module<Tensor, Tensor> Save(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = new FieldModel(kind.Make(7, 5, ScalarType.Float64, seed: 10), kind.Make(5, 3, ScalarType.Float64, seed: 20));
        LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model));
        lora.Save(_ours.Path);
        File.Copy(_ours[PeftAdapterConfig.FileName], _pefts[PeftAdapterConfig.FileName]);
        using SafetensorsFile file = SafetensorsFile.Open(_ours[AdapterFolder.WeightsName]);
        SafetensorsWriter.Save(_pefts[AdapterFolder.WeightsName], file.Entries.Select(entry => KeyValuePair.Create(entry.Name, file.ReadTensor(entry.Name))));
        return model;
    }

    // lora_A as PEFT makes it: kernel, stride and padding of the base, nothing else.
    private static Tensor AsPeft(Convolution layer, LoraAdapter adapter, Tensor x)
    {
        Tensor narrow = (layer.kernel_size.Length, layer.padding_type) switch
        {
            (1, _) => nn.functional.conv1d(x, adapter.A, null, layer.stride[0], layer.padding![0]),
            (_, Padding named) => nn.functional.conv2d_padding(x, adapter.A, null, layer.stride, named),
            _ => nn.functional.conv2d(x, adapter.A, null, layer.stride, layer.padding),
        };
        return (layer.kernel_size.Length == 1 ? nn.functional.conv1d(narrow, adapter.B) : nn.functional.conv2d(narrow, adapter.B)).mul(adapter.Scale);
    }
}
