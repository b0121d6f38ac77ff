using Lora.Injection;
using Lora.Layers;
using Lora.Serialization;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>
    /// Writes every adapter in PEFT's layout: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, those of the adapter <c>default</c> in the folder
    /// itself, those of another in a folder of its name beneath. The two files of an adapter are written beside their places first and then renamed.
    /// </summary>
    /// <param name="folder">The folder; it is made when it does not exist, and files of these names in it are replaced.</param>
    /// <exception cref="IOException">The folder or a file cannot be written; what was there before is whole.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder is write-protected.</exception>
    public void Save(string folder)
    {
        ThrowIfFinished();
        ArgumentException.ThrowIfNullOrEmpty(folder);
        foreach (string name in _adapters.Keys) SaveAdapter(name, name == LoraModel.DefaultAdapter ? folder : Path.Combine(folder, name));
    }

    /// <summary>Writes the two files of one adapter into a folder.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <param name="folder">The folder; it is made when it does not exist, and files of these names in it are replaced.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    /// <exception cref="IOException">The folder or a file cannot be written; what was there before is whole.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder is write-protected.</exception>
    public void SaveAdapter(string name, string folder)
    {
        ThrowIfFinished();
        ArgumentException.ThrowIfNullOrEmpty(folder);
        CheckKnown([name]);
        AdapterEntry adapter = _adapters[name];
        AdapterLayer[] layers = [.. _layers.Where(layer => layer.Layer.Adapters.Contains(name))];
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        AdapterFolder.Save(
            folder, adapter.File?.With(adapter.Config) ?? FreshFile(name, PartTargets.AsPeft(_model, adapter.Config, layers, name), layers), TensorsOf(name, layers),
            ConvolutionMark.For(layers.Select(layer => layer.Layer.Adapters[name])));
    }

    private PeftAdapterConfig FreshFile(string name, LoraConfig config, AdapterLayer[] layers)
    {
        string[] paths = [.. layers.SelectMany(layer => layer.Layer is LoraParameters ? ((CompositeAdapter)layer.Layer.Adapters[name]).PartNames.Select(part => $"{layer.Path}.{part}") : [layer.Path])];
        LoraConfig sorted = config with
        {
            RankPattern = ((PatternTable<int>)config.RankPattern).SortedFor(paths, config.Rank),
            AlphaPattern = ((PatternTable<double>)config.AlphaPattern).SortedFor(paths, config.Alpha),
        };
        // What the last linear layer is like is what PEFT writes for all of them.
        return PeftAdapterConfig.From(sorted, _model.GetType(), layers.Select(layer => layer.Layer).OfType<LoraLinear>().LastOrDefault() is { IsTransposed: true });
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> TensorsOf(string name, IReadOnlyList<AdapterLayer> layers) =>
    [
        .. AdaptedTensorsOf(name, layers),
        .. layers.SelectMany(layer => layer.Layer.Adapters[name].Absent.Select(tensor => KeyValuePair.Create(
            AdapterFit.KeyOf(layer.Path, tensor.Key), zeros(tensor.Value, layer.Layer.Adapters[name].A.dtype)))),
    ];

    private static IEnumerable<KeyValuePair<string, Tensor>> AdaptedTensorsOf(string name, IEnumerable<AdapterLayer> layers) =>
        layers.SelectMany(layer => layer.Layer.Adapters[name].FileTensors.Select(tensor => KeyValuePair.Create(AdapterFit.KeyOf(layer.Path, tensor.Key), AsSaved(layer.Layer.Adapters[name], tensor.Key, tensor.Value))));

    private static Tensor AsSaved(LoraAdapter adapter, string name, Tensor parameter) => adapter.FileFactor(name) is var factor and not 1 ? parameter.div(factor) : parameter;
}
