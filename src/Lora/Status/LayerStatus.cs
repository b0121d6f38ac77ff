using Lora.Layers;
using TorchSharp.Modules;

namespace Lora;

/// <summary>The state of one adapted layer, as <see cref="LoraModel{TModel}.GetStatus"/> found it.</summary>
public sealed record LayerStatus
{
    /// <summary>The dotted path of the layer in the unwrapped model.</summary>
    public required string Path { get; init; }

    /// <summary>The kind of the base layer, such as <c>Linear</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>Whether the adapters are switched on.</summary>
    public required bool IsEnabled { get; init; }

    /// <summary>The active adapters in the order in which their terms are added.</summary>
    public required IReadOnlyList<string> ActiveAdapters { get; init; }

    /// <summary>The adapters that are part of the base weights, in the order of merging.</summary>
    public required IReadOnlyList<string> MergedAdapters { get; init; }

    /// <summary>All adapters of the layer, in ordinal order.</summary>
    public required IReadOnlyList<string> AvailableAdapters { get; init; }

    /// <summary>For each adapter whether its parameters require gradients; <see cref="Agreement.Irregular"/> where some do and some do not.</summary>
    public required IReadOnlyDictionary<string, Agreement> RequiresGrad { get; init; }

    /// <summary>For each adapter the devices that its parameters are on.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<string>> Devices { get; init; }

    /// <summary>Path and state on one line.</summary>
    public override string ToString() =>
        $"{Path}  {Kind}  {(IsEnabled ? "enabled" : "disabled")}, active: {StatusText.List(ActiveAdapters)}, merged: {StatusText.List(MergedAdapters)}, "
        + $"requires_grad: {StatusText.Flags(RequiresGrad)}, devices: {StatusText.Devices(Devices)}";

    internal static LayerStatus Of(AdapterLayer layer)
    {
        AdapterSet adapters = layer.Layer.Adapters;
        LoraAdapter[] sorted = [.. adapters.OrderBy(adapter => adapter.AdapterName, StringComparer.Ordinal)];
        return new LayerStatus
        {
            Path = layer.Path,
            Kind = layer.Kind,
            IsEnabled = !adapters.IsDisabled,
            ActiveAdapters = [.. adapters.Active.Select(adapter => adapter.AdapterName)],
            MergedAdapters = [.. adapters.Merged.Select(adapter => adapter.AdapterName)],
            AvailableAdapters = [.. sorted.Select(adapter => adapter.AdapterName)],
            RequiresGrad = sorted.ToDictionary(adapter => adapter.AdapterName, adapter => StatusText.Agreed(Parameters(adapter).Select(parameter => parameter.requires_grad))),
            Devices = sorted.ToDictionary(adapter => adapter.AdapterName, adapter => StatusText.Names(Parameters(adapter).Select(parameter => parameter.device.ToString()))),
        };
    }

    private static IEnumerable<Parameter> Parameters(LoraAdapter adapter) => adapter.FileTensors.Select(tensor => tensor.Value);
}
