using Lora.Injection;
using Lora.Layers;
using Lora.Parts;
using Lora.Serialization;
using Lora.Serialization.Formats;
using Lora.Targeting;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>
    /// Writes every adapter in PEFT's layout: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, those of the adapter <c>default</c> in the folder
    /// itself, those of another in a folder of its name beneath. The two files of an adapter are written beside their places first and then renamed.
    /// </summary>
    /// <param name="folder">The folder; it is made when it does not exist, and files of these names in it are replaced.</param>
    /// <exception cref="InvalidOperationException">There is no adapter, or one is saved with base weights while one is merged.</exception>
    /// <exception cref="IOException">The folder or a file cannot be written; what was there before is whole.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder is write-protected.</exception>
    public void Save(string folder)
    {
        ThrowIfFinished();
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (_adapters.Count == 0) throw new InvalidOperationException("The model has no adapter: there is nothing to save.");
        foreach (string name in _adapters.Keys) SaveAdapter(name, name == LoraModel.DefaultAdapter ? folder : Path.Combine(folder, name));
    }

    /// <summary>Writes the two files of one adapter into a folder.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <param name="folder">The folder; it is made when it does not exist, and files of these names in it are replaced.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    /// <exception cref="InvalidOperationException">Base weights are saved with the adapter, and one is merged.</exception>
    /// <exception cref="IOException">The folder or a file cannot be written; what was there before is whole.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder is write-protected.</exception>
    public void SaveAdapter(string name, string folder) => SaveAsPeft(name, folder, PeftForm.Usual);

    private void SaveAsPeft(string name, string folder, PeftForm form)
    {
        ThrowIfFinished();
        ArgumentException.ThrowIfNullOrEmpty(folder);
        CheckKnown([name]);
        if (IsMerged && PartsOf(name).Any(part => part.Setting == PartPlan.EmbeddingSetting))
            throw new InvalidOperationException($"Adapter '{name}' is saved with the base weights of the embeddings, which adapter '{MergedAdapters[0]}' is merged into: unmerge it first.");
        AdapterLayer[] layers = [.. _layers.Where(layer => layer.Layer.Adapters.Contains(name))];
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        SavedForm saved = SavedForm.Of(_adapters[name].Config, layers, name, form, PatternPaths(name, layers));
        AdapterFolder.Save(folder, ConfigFile(name, layers, saved), TensorsOf(name, layers, saved), ConvolutionMark.For(layers.Select(layer => layer.Layer.Adapters[name])));
    }

    /// <summary>The configuration of an adapter as its file would hold it.</summary>
    internal PeftAdapterConfig ConfigFile(string name)
    {
        ThrowIfFinished();
        AdapterLayer[] layers = [.. _layers.Where(layer => layer.Layer.Adapters.Contains(name))];
        return ConfigFile(name, layers, SavedForm.Of(_adapters[name].Config, layers, name, PeftForm.Usual, PatternPaths(name, layers)));
    }

    private PeftAdapterConfig ConfigFile(string name, AdapterLayer[] layers, SavedForm saved) =>
        _adapters[name].File?.With(saved.Config) ?? FreshFile(name, PartTargets.AsPeft(_model, saved.Config, layers, name), layers);

    /// <summary>Writes one adapter in a chosen form.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <param name="path">The folder, or the file where the form is one; what is there is replaced.</param>
    /// <param name="format">The form.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    /// <exception cref="InvalidOperationException">The form cannot carry all of the adapter; everything that it cannot is listed, and nothing is written.</exception>
    /// <exception cref="NotSupportedException">The form is one for reading.</exception>
    /// <exception cref="IOException">The folder or a file cannot be written; what was there before is whole.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder is write-protected.</exception>
    public void SaveAdapter(string name, string path, AdapterFormat format)
    {
        ThrowIfFinished();
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(format);
        CheckKnown([name]);
        AdapterLayer[] layers = [.. _layers.Where(layer => layer.Layer.Adapters.Contains(name))];
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        SavedForm saved = SavedForm.Of(_adapters[name].Config, layers, name, PeftForm.Usual, PatternPaths(name, layers));
        format.Save(path, new AdapterToSave(
            name, Sorted(name, saved.Config, layers), layers, [.. PartsOf(name).Select(part => part.Setting)], saved, (folder, form) => SaveAsPeft(name, folder, form)));
    }

    /// <summary>What adapters hold beside their parameters: buffers of the model and of parts, by names that no two share.</summary>
    internal IReadOnlyList<KeyValuePair<string, Tensor>> StateBuffers()
    {
        ThrowIfFinished();
        return
        [
            .. _model.named_buffers().Select(buffer => KeyValuePair.Create($"model.{buffer.name}", buffer.buffer)),
            .. _parts.SelectMany((part, i) => part.FileBuffers.Select(buffer => KeyValuePair.Create($"part.{i}.{buffer.Key}", buffer.Value))),
        ];
    }

    /// <summary>The parameters of an adapter by the keys that they have in PEFT's file: those of its layers, then biases, full copies of modules and rows of embeddings.</summary>
    /// <param name="name">The adapter's name.</param>
    /// <returns>The parameters; moving the model makes new ones.</returns>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    public IReadOnlyList<KeyValuePair<string, Parameter>> AdapterTensors(string name)
    {
        ThrowIfFinished();
        CheckKnown([name]);
        return
        [
            .. _layers.Where(layer => layer.Layer.Adapters.Contains(name))
                .SelectMany(layer => layer.Layer.Adapters[name].FileTensors.Select(tensor => KeyValuePair.Create(AdapterFit.KeyOf(layer.Path, tensor.Key), tensor.Value))),
            .. PartsOf(name).SelectMany(part => part.FileTensors).Select(tensor => KeyValuePair.Create(FileKeys.Prefix + tensor.Key, tensor.Value)),
        ];
    }

    // What the last linear layer is like is what PEFT writes for all of them.
    private PeftAdapterConfig FreshFile(string name, LoraConfig config, AdapterLayer[] layers) => PeftAdapterConfig.From(
        Sorted(name, config, layers), _model.GetType(), layers.Select(layer => layer.Layer).OfType<LoraLinear>().LastOrDefault() is { IsTransposed: true });

    private static LoraConfig Sorted(string name, LoraConfig config, AdapterLayer[] layers)
    {
        string[] paths = PatternPaths(name, layers);
        return config with
        {
            RankPattern = ((PatternTable<int>)config.RankPattern).SortedFor(paths, config.Rank),
            AlphaPattern = ((PatternTable<double>)config.AlphaPattern).SortedFor(paths, config.Alpha),
        };
    }

    private static string[] PatternPaths(string name, AdapterLayer[] layers) =>
        [.. layers.SelectMany(layer => layer.Layer is LoraParameters ? ((CompositeAdapter)layer.Layer.Adapters[name]).PartNames.Select(part => $"{layer.Path}.{part}") : [layer.Path])];

    // In PEFT's form: with its factors, zeros for weights of a layer that have no pair, and again what two layers share.
    private Dictionary<string, Tensor> TensorsOf(string name, IReadOnlyList<AdapterLayer> layers, SavedForm saved)
    {
        Dictionary<string, Tensor> tensors = ((KeyValuePair<string, Tensor>[])
        [
            .. layers.SelectMany(layer => layer.Layer.Adapters[name].FileTensors.Select(tensor => KeyValuePair.Create(
                AdapterFit.KeyOf(layer.Path, tensor.Key), saved.TensorOf(layer.Layer.Adapters[name], tensor.Key, tensor.Value)))),
            .. layers.SelectMany(layer => layer.Layer.Adapters[name].Absent.Select(tensor => KeyValuePair.Create(
                AdapterFit.KeyOf(layer.Path, tensor.Key), zeros(tensor.Value, layer.Layer.Adapters[name].A.dtype)))),
            .. PartsOf(name).SelectMany(part => part.FileTensors).Select(tensor => KeyValuePair.Create(FileKeys.Prefix + tensor.Key, (Tensor)tensor.Value)),
            .. PartsOf(name).SelectMany(part => part.FileBuffers).Select(buffer => KeyValuePair.Create(FileKeys.Prefix + buffer.Key, buffer.Value)),
        ]).ToDictionary(StringComparer.Ordinal);
        foreach (MirroredTensor mirror in PartsOf(name).SelectMany(part => part.Mirrors))
            tensors.Add(FileKeys.Prefix + mirror.Key, tensors[FileKeys.Prefix + mirror.Source] is var source && mirror.IsTransposed ? source.t() : source);
        return tensors;
    }
}
