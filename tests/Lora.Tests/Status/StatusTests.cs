using Lora.Tests.Mixing;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Status;

/// <summary>The state of a model and its layers, and what they do not agree upon.</summary>
public sealed class StatusTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly LoraModel<nn.Module<Tensor, Tensor>> _lora = ThreeAdapters.Wrap(TestModels.Make(Holder.Field));
    private readonly string _device = TestDevice.Current.ToString();

    public void Dispose()
    {
        _lora.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void A_regular_model()
    {
        _lora.SetActive("late", "default");
        _lora.SetTrainable(false, "wide");
        ModelStatus status = _lora.GetStatus();
        Assert.Equal(Agreement.Yes, status.IsEnabled);
        Assert.Equal(["late", "default"], status.ActiveAdapters);
        Assert.Equal([], status.MergedAdapters);
        Assert.Equal(["default", "late", "wide"], status.AvailableAdapters);
        Assert.Equal([Agreement.Yes, Agreement.Yes, Agreement.No], status.RequiresGrad.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => pair.Value));
        Assert.All(status.Devices.Values, devices => Assert.Equal([_device], devices));
        Assert.Empty(status.Irregularities);
        Assert.Equal(_lora.ParameterCounts, status.ParameterCounts);
        Assert.Equal(["default"], status.Layers[0].ActiveAdapters);
        Assert.Equal(["default", "wide"], status.Layers[0].AvailableAdapters);
        Assert.Equal(
            $"FieldModel, 2 adapted layers\n{_lora.ParameterCounts}\nenabled: yes\nactive: late + default\nmerged: none\navailable: default, late, wide\n"
            + $"requires_grad: default yes, late yes, wide no\ndevices: default {_device}, late {_device}, wide {_device}",
            status.ToString());
        Assert.Equal(
            $"_second  Linear  enabled, active: late + default, merged: none, requires_grad: default yes, late yes, wide no, devices: default {_device}, late {_device}, wide {_device}",
            status.Layers[1].ToString());
    }

    [Fact]
    public void Disabled_and_merged()
    {
        using (_lora.Disable())
        {
            Assert.Equal(Agreement.No, _lora.GetStatus().IsEnabled);
            Assert.All(_lora.GetStatus().Layers, layer => Assert.False(layer.IsEnabled));
        }
        _lora.SetActive("wide", "late");
        _lora.Merge();
        ModelStatus status = _lora.GetStatus();
        Assert.Equal(["wide", "late"], status.MergedAdapters);
        Assert.Empty(status.Irregularities);
        _lora.Unmerge();
        Assert.Equal(["wide", "late"], status.MergedAdapters); // What was found out stays so.
    }

    [Fact]
    public void What_was_done_to_single_layers_is_irregular()
    {
        _lora.Layers[1].Layer.Adapters.Merge();
        _lora.Layers[0].Layer.Adapters.SetActive("wide");
        _lora.Layers[0].Layer.Adapters["wide"].A.requires_grad = false;
        ModelStatus status = _lora.GetStatus();
        Assert.Null(status.ActiveAdapters);
        Assert.Null(status.MergedAdapters);
        Assert.Equal(Agreement.Irregular, status.RequiresGrad["wide"]);
        Assert.Equal(Agreement.Irregular, status.Layers[0].RequiresGrad["wide"]);
        Assert.Equal(
            [
                "'_first' has active: wide, the model: default",
                "'default' is merged into '_second', but not into '_first'",
                "some parameters of 'wide' require gradients and some do not",
            ],
            status.Irregularities);
        Assert.EndsWith(
            "\nactive: irregular\nmerged: irregular\navailable: default, late, wide\nrequires_grad: default yes, late yes, wide irregular\n"
            + $"devices: default {_device}, late {_device}, wide {_device}\n- {string.Join("\n- ", status.Irregularities)}",
            status.ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_without_adapters_and_a_finished_handle()
    {
        foreach (string name in _lora.AdapterNames) _lora.DeleteAdapter(name);
        ModelStatus status = _lora.GetStatus();
        Assert.Empty(status.Layers);
        Assert.Equal(Agreement.Yes, status.IsEnabled);
        Assert.StartsWith("FieldModel, 0 adapted layers\n", status.ToString(), StringComparison.Ordinal);
        _lora.Unload();
        Assert.Throws<ObjectDisposedException>(() => _lora.GetStatus());
    }
}
